"""The evaluators' verbs in the terminal, one a file."""
