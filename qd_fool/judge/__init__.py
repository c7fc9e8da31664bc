"""What numbers say about a classifier: statistics and transfer counts."""
