"""`qd-fool reproduce`: the paper's experiments, with a summary."""
