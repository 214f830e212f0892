"""Steps on arrays: intensity for the networks, slices, rasters, burned-in text and faces."""
