"""Every reader of files from strangers, for the fuzzer: sound files, and how they are read."""

import dataclasses
import functools
import io
import json
import shutil
import struct
import typing
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import safetensors.numpy
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from qd_fool.data.photographs import read_photograph
from qd_fool.encodings.cppn.graph_json import read_graph
from qd_fool.errors import UserError
from qd_fool.files import read_json
from qd_fool.judge.audit.report import SCHEMA_VERSION, AuditReport
from qd_fool.judge.audit.stored import plain_report, read_audit
from qd_fool.models.foreign.http.bodies import BadAnswerError, decode
from qd_fool.models.foreign.labels import class_names
from qd_fool.models.foreign.onnx.load import from_onnx
from qd_fool.models.preprocessing import read_mean
from qd_fool.models.readers.caffemodel import parse_caffemodel
from qd_fool.models.readers.read import read_weights
from qd_fool.runs.elites import read_elites
from qd_fool.runs.genomes import read_genome_log
from qd_fool.runs.lineage import read_lineage
from qd_fool.runs.load import load_archive
from qd_fool.runs.metrics import read_metrics
from qd_fool.runs.newest import newest_state
from qd_fool.runs.snapshot import readable
from qd_fool.runs.stored import open_run

REPOSITORY = Path(__file__).parent.parent
FIXTURES, RUN = REPOSITORY / "tests" / "fixtures", REPOSITORY / "archives" / "mnist_cppn"
EXPECTED = (UserError, BadAnswerError)
"""The only errors that a reader may raise."""

Kind = str
"""How files of a reader are changed: "bytes", "json", "npz" or "zip"."""


@dataclasses.dataclass(frozen=True)
class Reader:
    """A reader of one file.

    Attributes:
      read: Function that reads a file by its path.
      seeds: Function that gives sound files.
      kind: How files are changed, beside their bytes.
      name: Name that the file must have.
    """

    read: Callable[[Path], object]
    seeds: Callable[[], Sequence[bytes]]
    kind: Kind = "bytes"
    name: str = "file"


def _varint(n: int) -> bytes:
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _blob(*shape: int) -> bytes:
    values = np.arange(int(np.prod(shape)), dtype="<f4").tobytes()
    dims = _field(1, b"".join(map(_varint, shape)))
    return _field(7, dims) + _field(5, values)


def _caffe() -> list[bytes]:
    layer = _field(1, b"conv1") + _field(2, b"Convolution") + _field(7, _blob(2, 1, 3, 3))
    return [_field(1, b"net") + _field(100, layer + _field(7, _blob(2)))]


def _binaryproto() -> list[bytes]:
    return [_blob(1, 3, 4, 4), _blob(3, 6, 6)]


def _torch(*names: str) -> Callable[[], list[bytes]]:
    return lambda: [(FIXTURES / f"torch_{name}.pth").read_bytes() for name in names]


def _npz() -> list[bytes]:
    file = io.BytesIO()
    np.savez(file, **{"conv1.weight": np.ones((2, 3), "f4"), "n": np.arange(4)})
    return [file.getvalue()]


def _safetensors() -> list[bytes]:
    plain = safetensors.numpy.save({"a": np.ones((2, 3), np.float32), "b": np.arange(3)})
    head = json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    return [plain, struct.pack("<Q", len(head)) + head + bytes(4)]


def _onnx() -> list[bytes]:
    weight = numpy_helper.from_array(np.ones((4, 12), np.float32), "w")
    outside = TensorProto(name="w", data_type=1, dims=[4, 12], data_location=1)
    outside.external_data.add(key="location", value="../weights.bin")
    files = []
    for initial in (weight, outside):
        nodes = [helper.make_node("Flatten", ["x"], ["f"]),
                 helper.make_node("Gemm", ["f", "w"], ["g"], transB=1),
                 helper.make_node("Softmax", ["g"], ["y"])]  # fmt: skip
        shape = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 2, 2])
        out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])
        graph = helper.make_graph(nodes, "g", [shape], [out], [initial])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        files.append(onnx.ModelProto.SerializeToString(model))
    return files


def _of_run(*names: str) -> Callable[[], list[bytes]]:
    return lambda: [(RUN / name).read_bytes() for name in names]


def _graphs() -> list[bytes]:
    return [path.read_bytes() for path in sorted((RUN / "graphs").glob("*.json"))[:3]]


def _answers() -> list[bytes]:
    file = io.BytesIO()
    np.save(file, np.ones((2, 3), np.float32))
    rows = [[0.1, 0.9], [0.5, 0.5]]
    return [file.getvalue(), json.dumps(rows).encode(), json.dumps({"logits": rows}).encode()]


def _pictures() -> list[bytes]:
    image, files = Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3)), []
    for kind in ("png", "jpeg", "gif", "webp", "tiff", "bmp"):
        file = io.BytesIO()
        image.save(file, kind)
        files.append(file.getvalue())
    return files


def _audit() -> list[bytes]:
    """A report whose values are made from their types, each list with one item."""
    return [json.dumps(plain_report(_made(AuditReport))).encode()]


def _made(hint: Any) -> Any:
    inner = typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        values = {field.name: _made(hints[field.name]) for field in dataclasses.fields(hint)}
        if "schema_version" in values:
            values["schema_version"] = SCHEMA_VERSION
        return hint(**values)
    origin = typing.get_origin(hint)
    if origin is tuple:
        return tuple(_made(each) for each in inner if each is not ...)
    if origin in (list, Sequence):
        return [_made(inner[0])]
    if origin in (dict, Mapping):
        return {"a": _made(inner[1])}
    if inner:
        return _made(inner[0]) if origin is not typing.Literal else inner[0]
    return {int: 1, float: 0.5, str: "a", bool: True}.get(hint)


def _labels() -> list[bytes]:
    return [b"lion\ntiger\n", b'["a", "b"]', b'{"0": "a", "1": "b"}', b"{0: 'a', 1: 'b'}"]


def _read_labels(path: Path) -> object:
    return class_names(path, count=2, metadata={}, binary=False, source=str(path))


@functools.cache
def _encoding():
    return open_run(RUN).encoding()


def _in_run(read: Callable[[Path], object], *files: str) -> Callable[[Path], object]:
    """Read a file as a part of a run, whose other files are sound."""

    def with_others(path: Path) -> object:
        for name in ("run.json", "archive.npz", *files):
            if name != path.name and not (path.parent / name).exists():
                shutil.copyfile(RUN / name, path.parent / name)
        return read(path.parent)

    return with_others


def _whole(run: Path) -> object:
    load_archive(run)
    with readable(run) as source:
        return source.path


def _photograph(path: Path) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_photograph(path, side=16, convert=True)


READERS: dict[str, Reader] = {
    "caffemodel": Reader(lambda p: parse_caffemodel(p.read_bytes(), source="f"), _caffe),
    "binaryproto": Reader(lambda p: read_mean(p, size=4), _binaryproto, name="m.binaryproto"),
    "pth": Reader(read_weights, _torch("zip", "zip_nested"), "zip"),
    "pth-legacy": Reader(read_weights, _torch("legacy", "legacy_nested")),
    "npz": Reader(read_weights, _npz, "npz"),
    "safetensors": Reader(read_weights, _safetensors),
    "onnx": Reader(lambda p: from_onnx(p, engine="jax", labels=list("abcd")), _onnx),
    "audit.json": Reader(read_audit, _audit, "json"),
    "answers": Reader(lambda p: decode(p.read_bytes()), _answers, "json"),
    "run.json": Reader(_in_run(_whole, "elites.csv"), _of_run("run.json"), "json", "run.json"),
    "metrics.csv": Reader(_in_run(read_metrics), _of_run("metrics.csv"), name="metrics.csv"),
    "elites.csv": Reader(_in_run(read_elites), _of_run("elites.csv"), name="elites.csv"),
    "archive.npz": Reader(_in_run(load_archive), _of_run("archive.npz"), "npz", "archive.npz"),
    "genomes.npz": Reader(_in_run(lambda run: read_genome_log(run, _encoding())),
                          _of_run("genomes.npz"), "npz", "genomes.npz"),
    "lineage.npz": Reader(_in_run(read_lineage), _of_run("lineage.npz"), "npz", "lineage.npz"),
    "newest": Reader(_in_run(lambda run: newest_state(open_run(run))), _of_run("archive.npz"),
                     "npz", "archive.npz"),
    "graph": Reader(lambda p: read_graph(read_json(p), source="g"), _graphs, "json"),
    "photograph": Reader(_photograph, _pictures),
    "labels": Reader(_read_labels, _labels, "json"),
}  # fmt: skip
"""The readers by name."""
