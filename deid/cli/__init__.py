"""Floor 5: one file per command; parse, call one workflow, print, exit."""
