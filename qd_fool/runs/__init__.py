"""A run directory: one module per file in it, and what its history says."""
