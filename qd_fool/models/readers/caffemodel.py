"""Caffe's weight files (V1 and V2 layers) with no Caffe: the fields of caffe.proto that hold them.

The message types are declared at run time from the few field numbers that matter, and decoded by
the protobuf library; unknown fields are skipped. Field numbers: caffe/src/caffe/proto/caffe.proto.
Packed numbers, which Caffe writes, are declared as the bytes that they are, and so viewed by NumPy;
a list of 61 million numbers taken out of protobuf one by one costs ten times as long.
"""

import functools
import math

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from qd_fool.errors import UserError

_F = descriptor_pb2.FieldDescriptorProto


@functools.cache
def _message_class(wanted: str) -> type[message.Message]:
    """The class of a message declared here, in a pool of its own: no other caffe.proto clashes."""
    file = descriptor_pb2.FileDescriptorProto(
        name="qd_fool_caffe.proto", package="qd_fool_caffe", syntax="proto2"
    )

    def declare(name: str, *fields: tuple[str, int, int, bool, str, bool]) -> None:
        kind = file.message_type.add(name=name)
        for field, number, type_, repeated, type_name, packed in fields:
            entry = kind.field.add(
                name=field,
                number=number,
                type=type_,
                label=_F.LABEL_REPEATED if repeated else _F.LABEL_OPTIONAL,
            )
            if type_name:
                entry.type_name = f".qd_fool_caffe.{type_name}"
            if packed:
                entry.options.packed = True

    declare("BlobShape", ("dim", 1, _F.TYPE_INT64, True, "", True))
    declare(
        "Blob",
        *[
            (name, i + 1, _F.TYPE_INT32, False, "", False)
            for i, name in enumerate(("num", "channels", "height", "width"))
        ],
        ("data", 5, _F.TYPE_BYTES, True, "", False),
        ("shape", 7, _F.TYPE_MESSAGE, False, "BlobShape", False),
        ("double_data", 8, _F.TYPE_BYTES, True, "", False),
    )
    declare(
        "UnpackedBlob",
        ("data", 5, _F.TYPE_FLOAT, True, "", False),
        ("double_data", 8, _F.TYPE_DOUBLE, True, "", False),
    )
    declare(
        "V1Layer",
        ("name", 4, _F.TYPE_BYTES, False, "", False),
        ("blobs", 6, _F.TYPE_MESSAGE, True, "Blob", False),
    )
    declare(
        "Layer",
        ("name", 1, _F.TYPE_BYTES, False, "", False),
        ("blobs", 7, _F.TYPE_MESSAGE, True, "Blob", False),
    )
    declare(
        "Net",
        ("layers", 2, _F.TYPE_MESSAGE, True, "V1Layer", False),
        ("layer", 100, _F.TYPE_MESSAGE, True, "Layer", False),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"qd_fool_caffe.{wanted}"))


def _blob_values(blob: message.Message) -> np.ndarray:
    """All numbers of a blob, in one row.

    Raises:
      DecodeError: bytes that are not a whole count of numbers.
    """
    chunks, dtype = (blob.data, "<f4") if blob.data else (blob.double_data, "<f8")
    if chunks:
        packed = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if len(packed) % np.dtype(dtype).itemsize:
            raise message.DecodeError("part of a number")
        return np.frombuffer(packed, dtype).astype(np.float32, copy=False)
    # One field a number is as legal; to the message class above, those are unknown fields.
    unpacked = _message_class("UnpackedBlob")()
    unpacked.ParseFromString(blob.SerializeToString())
    data = unpacked.data or unpacked.double_data
    return np.fromiter(data, np.float32, len(data))


def _blob_array(blob: message.Message, source: str, name: str) -> np.ndarray:
    values = _blob_values(blob)
    if blob.HasField("shape"):
        shape = tuple(blob.shape.dim)
    else:
        shape = tuple(getattr(blob, axis) for axis in ("num", "channels", "height", "width"))
    try:
        if min(shape, default=1) < 0 or values.size != math.prod(shape):
            raise ValueError("sizes differ")
        return values.reshape(shape)
    except ValueError as error:  # NumPy's own: too many axes, or none of a huge shape
        raise UserError(
            f"weights {source}: layer {name} holds {values.size} numbers for a shape of {shape}"
        ) from error


def parse_blob(data: bytes, *, source: str) -> np.ndarray:
    """The array of a file that holds one blob, such as a `mean.binaryproto`.

    Args:
      data: the file's bytes.
      source: the file's name, for errors.

    Raises:
      UserError: not a Caffe blob, or cut short.
    """
    blob = _message_class("Blob")()
    try:
        blob.ParseFromString(data)
        return _blob_array(blob, source, "mean")
    except message.DecodeError as error:
        raise UserError(f"{source}: not a whole Caffe blob ({len(data)} bytes)") from error


def parse_caffemodel(data: bytes, *, source: str) -> dict[str, np.ndarray]:
    """Arrays of each layer that has any: `NAME.weight`, `NAME.bias`, then `NAME.2` and on.

    Old files state four axes for all: an inner product's weight is `(1, 1, out, in)`.

    Args:
      data: the file's bytes.
      source: the file's name, for errors.

    Raises:
      UserError: not a Caffe file, or cut short.
    """
    net = _message_class("Net")()
    arrays: dict[str, np.ndarray] = {}
    try:
        net.ParseFromString(data)
        for layer in [*net.layers, *net.layer]:
            layer_name = layer.name.decode("utf-8", "replace")
            for i, blob in enumerate(layer.blobs):
                part = ("weight", "bias")[i] if i < 2 else str(i)
                arrays[f"{layer_name}.{part}"] = _blob_array(blob, source, layer_name)
    except message.DecodeError as error:
        raise UserError(
            f"weights {source}: neither safetensors nor npz nor PyTorch's nor a whole Caffe "
            f"model ({len(data)} bytes)"
        ) from error
    if not arrays:
        raise UserError(
            f"weights {source}: expected safetensors, npz, a PyTorch state dict or a Caffe model "
            f"with trained layers, found {len(data)} bytes without any"
        )
    return arrays
