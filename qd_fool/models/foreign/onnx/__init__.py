"""ONNX files read into a pure JAX function and a pytree of parameters.

`protobuf` and `tensors` read the file into a `graph`. `heads` takes the logits before a final
Softmax. `quantised` joins operators that a quantiser splits. `program` evaluates all nodes that do
not depend on the picture, and calls one of the `operators` for each other node. `picture` and
`class_names` find the form of the input and the names of the classes. `load` makes a `Scorer`.
"""
