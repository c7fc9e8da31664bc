"""A LiteRT file of one matrix, written with the schema of the package itself."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


def dense(weights, shape):
    """The bytes of a model `(1, *shape) float32 -> (1, classes)`: a Reshape and a matrix.

    Args:
      weights: Array `(classes, size)`.
      shape: Shape of a picture.
    """
    classes, size = weights.shape
    model = schema.ModelT()
    model.version = 3
    arrays = [np.asarray([1, size], np.int32), weights.astype(np.float32)]
    model.buffers = [schema.BufferT()]
    for array in arrays:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        model.buffers.append(buffer)
    kinds = schema.TensorType
    tensors = [
        ("x", [1, *shape], kinds.FLOAT32, 0),
        ("to", [2], kinds.INT32, 1),
        ("flat", [1, size], kinds.FLOAT32, 0),
        ("w", [classes, size], kinds.FLOAT32, 2),
        ("y", [1, classes], kinds.FLOAT32, 0),
    ]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(*facts) for facts in tensors]
    graph.inputs, graph.outputs = [0], [4]
    operators = [("RESHAPE", [0, 1], [2], None), ("FULLY_CONNECTED", [2, 3, -1], [4], "Fully")]
    model.operatorCodes, graph.operators = [], []
    for i, (name, takes, gives, options) in enumerate(operators):
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = code.builtinCode
        code.version = 1
        model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = i, takes, gives
        if options:
            operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
            operator.builtinOptions = schema.FullyConnectedOptionsT()
        graph.operators.append(operator)
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _tensor(name, shape, kind, buffer):
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, kind, buffer
    return tensor
