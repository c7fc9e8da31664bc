"""Gradient ascent: pictures, or the weights of a CPPN, climb toward a class."""
