"""`qd-fool models`."""
