"""Classifiers that are not written in JAX: files and functions of other frameworks."""
