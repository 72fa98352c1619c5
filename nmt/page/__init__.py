"""The translator in one page: an engine in JavaScript, and the export of checkpoints into it."""
