"""Retraining a network of ImageNet on fooling images."""
