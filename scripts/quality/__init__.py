"""The quality measures: a module a command, one door in `scripts/quality.py`."""
