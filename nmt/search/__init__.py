"""Beam search over any decoder given as a function; a beam of 1 is greedy search."""
