"""`qd-fool ascend`."""
