"""How long the gate takes over 200 examples: with a slow target, and again from the cache."""
