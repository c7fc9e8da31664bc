"""`qd-fool transfer`."""
