"""All operators: importing this module enters each of them into the table of `operator.py`."""

from qd_fool.models.foreign.onnx.operators import (  # noqa: F401
    attention,
    branches,
    convolution,
    elementwise,
    indexing,
    linear,
    normalisation,
    pooling,
    quantisation,
    reductions,
    resizing,
    shapes,
    windows,
)
