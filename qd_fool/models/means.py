"""Means that networks subtract from pictures. This module imports no JAX."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of RGB in 0..1 (torchvision)."""

TORCHVISION_CENTRE = tuple(255 * value for value in IMAGENET_MEAN)
LITE_CENTRE = (127.0, 127.0, 127.0)
"""The colour that becomes 0, in units of 0..255."""

CAFFE_MEAN = (104.0, 117.0, 123.0)
"""Blue, green and red of the mean of ILSVRC 2012, rounded as in Caffe's model zoo."""
