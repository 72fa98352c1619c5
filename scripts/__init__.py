"""Measurements, comparisons and tools around nmt; run them from the repository root, `python -m scripts.NAME`."""
