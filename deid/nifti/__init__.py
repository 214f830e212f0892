"""Floor 1: NIfTI files, their headers and BIDS trees."""
