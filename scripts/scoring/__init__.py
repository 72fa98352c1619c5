"""What scripts/quality.py measures, and what lies behind a score."""
