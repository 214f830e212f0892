"""Floor 0: what every other floor stands on; standard library and numpy."""
