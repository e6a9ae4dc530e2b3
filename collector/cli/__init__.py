"""The collector's commands in the terminal, one a file."""
