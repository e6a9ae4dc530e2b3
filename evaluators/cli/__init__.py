"""The evaluators' commands in the terminal, one a file."""
