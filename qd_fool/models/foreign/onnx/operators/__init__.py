"""The operators of ONNX in JAX, one module per kind; importing this enters them all."""

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
