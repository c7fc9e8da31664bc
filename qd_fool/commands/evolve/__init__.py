"""`qd-fool evolve`."""
