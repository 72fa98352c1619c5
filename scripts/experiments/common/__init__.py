"""Shared by the experiments: options, models, tables, and a toy corpus for their quick forms."""
