"""Writes Caffe weight files byte by byte, with no protobuf library: an oracle for the reader.

Field numbers from BVLC/caffe src/caffe/proto/caffe.proto. Like Caffe, it writes the fields of a
message in the order of their numbers, also those that a reader of weights has no use for.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

Pieces = list[bytes | memoryview]  # parts of a file or message; arrays are not copied

TYPES = {  # V1LayerParameter.LayerType; V2 has the names
    "Convolution": 4,
    "Data": 5,
    "InnerProduct": 14,
    "Pooling": 17,
    "ReLU": 18,
    "Softmax": 20,
}


def varint(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes([*out, n])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def float32(field: int, value: float) -> bytes:
    return varint(field << 3 | 5) + struct.pack("<f", value)


def delimited(field: int, *payload: bytes | memoryview) -> Pieces:
    """A string, a packed array or a message, given in pieces."""
    return [varint(field << 3 | 2) + varint(sum(len(piece) for piece in payload)), *payload]


def text(field: int, value: str) -> bytes:
    return b"".join(delimited(field, value.encode()))


def _blob(array: np.ndarray, *, version: str) -> Pieces:
    values = np.ascontiguousarray(array, "<f4").reshape(-1).data.cast("B")
    data = delimited(5, values)
    if version == "v1":  # four axes whatever the array: an inner product is 1x1xOUTxIN
        axes = (1,) * (4 - array.ndim) + array.shape
        return [b"".join(number(i + 1, n) for i, n in enumerate(axes)), *data]
    return [*data, *delimited(7, *delimited(1, b"".join(map(varint, array.shape))))]


def _layer(
    name: str,
    type_: str,
    bottom: str,
    top: str,
    arrays: list[np.ndarray],
    *,
    version: str,
) -> Pieces:
    blobs = [_blob(array, version=version) for array in arrays]
    settings = number(1, arrays[0].shape[0]) if arrays else b""  # num_output
    if version == "v1":
        out: Pieces = [text(2, bottom)] if bottom else []
        out += [text(3, top), text(4, name), number(5, TYPES[type_])]
        for blob in blobs:
            out += delimited(6, *blob)
        if arrays:  # blobs_lr, weight_decay, and convolution_ or inner_product_param
            out += [float32(7, 1.0), float32(7, 2.0), float32(8, 1.0), float32(8, 0.0)]
            out += delimited(10 if type_ == "Convolution" else 17, settings)
        return delimited(2, *out)
    out = [text(1, name), text(2, type_)]
    out += [text(3, bottom)] if bottom else []
    out += [text(4, top)]
    for _ in blobs:  # param: lr_mult, decay_mult
        out += delimited(6, float32(3, 1.0), float32(4, 1.0))
    for blob in blobs:
        out += delimited(7, *blob)
    out += [number(10, 0)]  # phase
    if arrays:
        out += delimited(106 if type_ == "Convolution" else 117, settings)
    return delimited(100, *out)


def _layers(flat: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str, str, list[np.ndarray]]]:
    """Name, type, top and arrays of a chain of layers, some without any array."""
    yield "data", "Data", "data", []
    names = list(dict.fromkeys(key.rpartition(".")[0] for key in flat))
    for name in names:
        arrays = [flat[f"{name}.weight"], flat[f"{name}.bias"]]
        convolution = arrays[0].ndim == 4
        yield name, "Convolution" if convolution else "InnerProduct", name, arrays
        if name != names[-1]:
            yield f"relu_{name}", "ReLU", name, []
        if name == "conv1":
            yield "pool1", "Pooling", "pool1", []
    yield "prob", "Softmax", "prob", []


def write_caffemodel(path: str | Path, flat: Mapping[str, np.ndarray], *, version: str) -> None:
    """Write `{NAME.weight, NAME.bias}` as a NetParameter.

    Args:
      path: the file.
      flat: float32 arrays: convolutions OIHW, inner products (out, in).
      version: "v1", with field `layers` and four axes for all, as the BVLC's files are; "v2",
        with field `layer` and the arrays' own shapes.
    """
    if version not in ("v1", "v2"):
        raise ValueError(f"version {version}: expected v1 or v2")
    with Path(path).open("wb") as file:
        file.write(text(1, "a net"))
        bottom = ""
        for name, type_, top, arrays in _layers(flat):
            file.writelines(_layer(name, type_, bottom, top, arrays, version=version))
            bottom = top
