"""Training: objective, schedule, checkpoint, log, and the loop that reads top to bottom."""
