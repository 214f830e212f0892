"""Floor 4: one file per job, readable from top to bottom."""
