"""The frameworks an app is built with: each is traced by the best instrumentor that is installed, once it is imported."""
