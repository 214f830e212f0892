"""Data, losses and the loop that train the networks."""
