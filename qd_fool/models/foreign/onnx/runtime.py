"""A network from an ONNX file that onnxruntime runs on the host: the engine "onnxruntime"."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from qd_fool.errors import UserError
from qd_fool.models.foreign.callable import host_scorer
from qd_fool.models.foreign.onnx.graph import Graph, Input
from qd_fool.models.foreign.onnx.heads import THROUGH, choose_output, softmax_of
from qd_fool.models.foreign.onnx.picture import Picture, read_picture
from qd_fool.models.foreign.onnx.protobuf import import_onnx, parsed
from qd_fool.models.foreign.onnx.tensors import EXTERNAL, file_beside
from qd_fool.models.foreign.outputs import is_multilabel, to_logits
from qd_fool.models.foreign.pictures import Numbers
from qd_fool.models.foreign.view import View
from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.sides import Size, pictures_at_once

CHUNK = 16
"""Pictures of 224x224 pixels per call, by default."""

QUANTISED = ("QuantizeLinear", "DequantizeLinear", "Cast")

KINDS = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}
"""NumPy's names of onnxruntime's types of inputs."""


def run_onnx(
    path: Path,
    *,
    labels: str | Path | Sequence[str] | None,
    input_size: Size | None,
    layout: str,
    channels: str,
    mean: Numbers | None,
    std: Numbers | None,
    outputs: str,
    output: str | None,
    name: str | None,
) -> HostScorer:
    """Read a classifier from an ONNX file for onnxruntime.

    The arguments are those of `from_onnx`. The network has no gradient.

    Raises:
      UserError: The file cannot be read, is not a classifier of pictures, contradicts a
        setting, or onnxruntime is not installed or does not take the file.
    """
    source = str(path)
    runtime = import_onnxruntime()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    model = parsed(import_onnx(), content, source=source)
    _check_external(model, folder=path.parent, source=source)

    # The output: the logits before a final Softmax, if there is one.
    declared = tuple(value.name for value in model.graph.output)
    chosen = choose_output(Graph((), {}, (), declared, 0, {}), output, source=source)
    raw = outputs in ("logits", "label-logits")
    wanted, ending = (chosen, "") if raw else _tapped(model, chosen)
    session = _session(runtime, model, wanted, folder=path.parent, source=source)

    # The input, as onnxruntime describes it.
    inputs = tuple(
        Input(
            given.name,
            KINDS.get(given.type, "unknown"),
            tuple(n if isinstance(n, int) and n > 0 else None for n in given.shape) or None,
        )
        for given in session.get_inputs()
    )
    picture = read_picture(
        Graph((), {}, inputs, declared, 0, {}),
        layout=layout,
        input_size=input_size,
        channels=channels,
        mean=mean,
        std=std,
        source=source,
    )
    ask = _runner(session, inputs[0], picture, wanted, source=source)
    kind = "logits" if ending or outputs == "auto" else outputs
    made = host_scorer(
        ask,
        view=View(picture.shape, "nhwc", reverse=False, mean=None, std=()),
        labels=labels,
        gradient=None,
        outputs=kind,
        chunk=pictures_at_once(picture.sides, CHUNK),
        name=name if name is not None else path.stem,
        weights=f"{path.name}, by onnxruntime {runtime.__version__}",
        metadata=session.get_modelmeta().custom_metadata_map,
        weights_sha256=hashlib.sha256(content).hexdigest(),
    )
    to_logits(ending, outputs, count=made.numbers, source=source)  # refuses what contradicts
    multilabel = is_multilabel(ending, outputs, count=made.numbers)
    return dataclasses.replace(made, mean=picture.black, multilabel=multilabel)


def import_onnxruntime() -> Any:
    """The package that runs the file.

    Raises:
      UserError: It isn't installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            "--engine onnxruntime needs the package onnxruntime: pip install 'qd-fool[onnxruntime]'"
        ) from error
    return onnxruntime


def _check_external(model: Any, *, folder: Path, source: str) -> None:
    """Refuse files of numbers outside the model's folder."""
    for tensor in model.graph.initializer:
        if tensor.data_location == EXTERNAL:
            file_beside(tensor, folder=folder, source=source)


def _tapped(model: Any, output: str) -> tuple[str, str]:
    """The value before a final Softmax or Sigmoid, and "softmax" or "sigmoid"."""
    makers = {value: node for node in model.graph.node for value in node.output}
    value = output
    while (node := makers.get(value)) is not None:
        if node.domain not in ("", "ai.onnx"):
            break
        if ending := softmax_of(node.op_type):
            return node.input[0], ending
        if node.op_type not in (*THROUGH, *QUANTISED):
            break
        value = node.input[0]
    return output, ""


def _session(runtime: Any, model: Any, wanted: str, *, folder: Path, source: str) -> Any:
    """The session of a model, with one more output if necessary."""
    onnx = import_onnx()
    if wanted not in [value.name for value in model.graph.output]:
        model.graph.output.append(onnx.ValueInfoProto(name=wanted))
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(folder.resolve())
    )
    known = runtime.get_available_providers()
    providers = [p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in known]
    try:
        return runtime.InferenceSession(
            model.SerializeToString(), sess_options=options, providers=providers
        )
    except Exception as error:  # onnxruntime has a type of exception per status
        raise UserError(f"{source}: onnxruntime does not take it ({_line(error)})") from error


def _runner(
    session: Any, given: Input, picture: Picture, wanted: str, *, source: str
) -> Callable[[UInt8[np.ndarray, "n height width channels"]], np.ndarray]:
    """A function from pictures to rows of numbers."""
    dtype = np.dtype(given.dtype) if given.dtype != "unknown" else np.dtype(np.float32)
    mean, std = np.asarray(picture.mean, np.float32), np.asarray(picture.std, np.float32)

    def run(x: np.ndarray) -> np.ndarray:
        out = np.asarray(session.run([wanted], {given.name: x})[0])
        return out.reshape(len(x), -1)

    def one_by_one(x: np.ndarray) -> np.ndarray:
        return np.concatenate([run(x[i : i + 1]) for i in range(len(x))])

    def in_groups(x: np.ndarray, size: int) -> np.ndarray:
        filled = np.concatenate([x, np.repeat(x[:1], -len(x) % size, axis=0)])
        parts = [run(filled[i : i + size]) for i in range(0, len(filled), size)]
        return np.concatenate(parts)[: len(x)]

    # A file that leaves the number of pictures open may still be bound to one.
    bound = picture.batch
    if bound is None:
        bound = _batch_of(run, picture, dtype)

    def ask(pictures: UInt8[np.ndarray, "n height width channels"]) -> np.ndarray:
        x: np.ndarray = pictures[..., ::-1] if picture.channels == "bgr" else pictures
        if picture.depth > x.shape[-1]:
            x = np.repeat(x, picture.depth, axis=-1)
        x = (x.astype(np.float32) - mean) * (1 / std)
        x = x.transpose(0, 3, 1, 2) if picture.layout == "nchw" else x
        x = np.ascontiguousarray(x, dtype)
        if bound == 1:
            return one_by_one(x)
        return run(x) if bound is None else in_groups(x, bound)

    return ask


def _batch_of(
    run: Callable[[np.ndarray], np.ndarray], picture: Picture, dtype: np.dtype
) -> int | None:
    """1 where a file takes only one picture at once; None where it takes any number."""
    sides, depth = picture.sides, picture.depth
    shape = (depth, *sides) if picture.layout == "nchw" else (*sides, depth)
    try:
        run(np.zeros((2, *shape), dtype))
    except Exception:  # onnxruntime has a type of exception per status; one picture will show it
        return 1
    return None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
