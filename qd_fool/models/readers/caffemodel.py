"""Caffe's weight files (V1 and V2 layers), read without Caffe.

The message types are declared at run time from the few fields of caffe.proto that hold weights, and
decoded by the protobuf library. Unknown fields are skipped. Field numbers are those of
caffe/src/caffe/proto/caffe.proto. Caffe writes packed numbers: they are declared as bytes, which
NumPy can view. To take 61 million numbers out of protobuf one by one takes ten times as long.
"""

import functools
import math
import re

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from qd_fool.errors import UserError

_SCHEMA = """
message BlobShape { repeated int64 dim = 1 packed; }
message Blob {
  optional int32 num = 1; optional int32 channels = 2; optional int32 height = 3;
  optional int32 width = 4; repeated bytes data = 5; optional BlobShape shape = 7;
  repeated bytes double_data = 8;
}
message UnpackedBlob { repeated float data = 5; repeated double double_data = 8; }
message V1Layer { optional bytes name = 4; repeated Blob blobs = 6; }
message Layer { optional bytes name = 1; repeated Blob blobs = 7; }
message Net { repeated V1Layer layers = 2; repeated Layer layer = 100; }
"""
"""The fields of caffe.proto that matter, in (almost) its own language."""

_MESSAGE = re.compile(r"message (\w+) \{(.*?)\}", re.DOTALL)
_FIELD = re.compile(r"(repeated|optional) (\w+) (\w+) = (\d+)( packed)?;")


@functools.cache
def _message_class(wanted: str) -> type[message.Message]:
    """Return the class of a message of `_SCHEMA`, in a separate pool, where no name can clash."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="qd_fool_caffe.proto", package="qd_fool_caffe", syntax="proto2"
    )
    for name, fields in _MESSAGE.findall(_SCHEMA):
        declared = file.message_type.add(name=name)
        for label, kind, field, number, packed in _FIELD.findall(fields):
            entry = declared.field.add(name=field, number=int(number))
            entry.label = getattr(kinds, f"LABEL_{label.upper()}")
            if kind[0].isupper():
                entry.type, entry.type_name = kinds.TYPE_MESSAGE, f".qd_fool_caffe.{kind}"
            else:
                entry.type = getattr(kinds, f"TYPE_{kind.upper()}")
            if packed:
                entry.options.packed = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"qd_fool_caffe.{wanted}"))


def _blob_values(blob: message.Message) -> np.ndarray:
    """Return all numbers of a blob, in one row.

    Raises:
      DecodeError: The last number is cut.
    """
    chunks, dtype = (blob.data, "<f4") if blob.data else (blob.double_data, "<f8")
    if chunks:
        packed = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if len(packed) % np.dtype(dtype).itemsize:
            raise message.DecodeError("part of a number")
        return np.frombuffer(packed, dtype).astype(np.float32, copy=False)
    # A file may also hold one field per number. To the message class above, these are unknown
    # fields, so the message is decoded again.
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
    except ValueError as error:  # also from NumPy, for too many axes or a huge shape
        raise UserError(
            f"weights {source}: layer {name} holds {values.size} numbers for a shape of {shape}"
        ) from error


def parse_blob(data: bytes, *, source: str) -> np.ndarray:
    """Return the array of a file that holds one blob, such as a `mean.binaryproto`.

    Args:
      data: Bytes of the file.
      source: Name of the file, for errors.

    Raises:
      UserError: The file is no Caffe blob, or is cut short.
    """
    blob = _message_class("Blob")()
    try:
        blob.ParseFromString(data)
        return _blob_array(blob, source, "mean")
    except message.DecodeError as error:
        raise UserError(f"{source}: not a whole Caffe blob ({len(data)} bytes)") from error


def parse_caffemodel(data: bytes, *, source: str) -> dict[str, np.ndarray]:
    """Return the arrays of all layers by name: `NAME.weight`, `NAME.bias`, then `NAME.2` and so on.

    Old files state four axes for every array: the weight of an inner product is `(1, 1, out, in)`.

    Args:
      data: Bytes of the file.
      source: Name of the file, for errors.

    Raises:
      UserError: The file is no Caffe file, or is cut short.
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
