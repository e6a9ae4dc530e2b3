"""The collector's verbs in the terminal, one a file."""
