"""Decides which spans are kept, and with what known probability."""
