"""`qd-fool retrain`."""
