"""Layers and networks in JAX."""
