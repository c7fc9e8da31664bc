"""ONNX files read into a pure JAX function and a pytree of parameters.

The way of a file: `protobuf` and `tensors` read it into a `graph`, `heads` takes the logits before
a final Softmax, `quantised` joins what a quantiser splits, `program` folds all that doesn't depend
on the picture and calls one of the `operators` per node that is left, `picture` and `class_names`
read how a picture enters and how its classes are called, and `load` puts a `Scorer` together.
"""
