"""The contestants, each in its own process."""
