"""Floor 1: networks and their model folders; tensors only."""
