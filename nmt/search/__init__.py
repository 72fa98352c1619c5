"""Greedy and beam search over any decoder that is given as a function."""
