"""The store's verbs in the terminal, one a file."""
