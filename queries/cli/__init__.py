"""The store's commands in the terminal, one a file."""
