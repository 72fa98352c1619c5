"""What the experiments share: options, models, tables, and a toy corpus for their quick forms."""
