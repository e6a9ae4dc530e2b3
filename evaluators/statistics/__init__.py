"""Pure functions on sequences; the oracle of the drift SQL."""
