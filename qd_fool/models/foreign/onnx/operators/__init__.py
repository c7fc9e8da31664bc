"""The operators of ONNX in JAX, one module per kind."""
