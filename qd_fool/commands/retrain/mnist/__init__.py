"""Retraining a LeNet on fooling images, round by round."""
