"""A `Scorer` from an ONNX file: `from_onnx`."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from qd_fool.errors import UserError
from qd_fool.models.foreign.labels import class_names
from qd_fool.models.foreign.onnx.engines import faster_of
from qd_fool.models.foreign.onnx.graph import pruned
from qd_fool.models.foreign.onnx.heads import choose_output, without_softmax
from qd_fool.models.foreign.onnx.picture import Picture, read_picture
from qd_fool.models.foreign.onnx.program import Program, build
from qd_fool.models.foreign.onnx.protobuf import read_model
from qd_fool.models.foreign.onnx.quantised import joined
from qd_fool.models.foreign.onnx.runtime import run_onnx
from qd_fool.models.foreign.onnx.values import identity, lies_as
from qd_fool.models.foreign.onnx.widening import widened
from qd_fool.models.foreign.outputs import OUTPUTS, is_multilabel, to_logits
from qd_fool.models.foreign.pictures import Numbers, check_choice
from qd_fool.models.foreign.settings import ENGINES
from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.scorer import Scorer
from qd_fool.models.sides import Size, pictures_at_once, size_of

MOST_CLASSES = 2**17
"""Highest number of classes."""

CHUNK = 4
"""Pictures of 224x224 pixels per call, by default."""

Forward = Callable[[PyTree[Array], Float[Array, "n height width depth"]], Array]


def from_onnx(
    path: str | Path,
    *,
    labels: str | Path | Sequence[str] | None = None,
    input_size: Size | None = None,
    layout: str = "auto",
    channels: str = "auto",
    mean: Numbers | None = None,
    std: Numbers | None = None,
    outputs: str = "auto",
    output: str | None = None,
    engine: str = "jax",
    name: str | None = None,
) -> Scorer | HostScorer:
    """Read a classifier from an ONNX file, as a pure JAX function and its parameters.

    With the engine "jax" it is compiled, differentiated and spread over devices like the networks
    that come with this package. Facts that the file states (layout, size, channels, labels) need
    not be given.

    Args:
      path: Path of the file. Arrays may be in files beside it.
      labels: Labels, or a file with one label per line. Default: ImageNet's for 1000 classes.
      input_size: Side of the network's input in pixels, or height and width, if the file does not
        fix them.
      layout: Order of the axes: "nchw", "nhwc", or "auto".
      channels: Order of the channels: "rgb", "bgr", "gray" (also for a network of three equal
        channels), or "auto".
      mean: One number or one per channel in the network's order, 0..255; the network gets
        `(pixel - mean) / std`. None: ImageNet's for colour, 0 for gray or bytes.
      std: One number or one per channel in the network's order. None: ImageNet's for colour,
        255 for gray, 1 for bytes.
      outputs: Kind of the output's numbers: "logits", "probabilities", "label-logits",
        "label-probabilities" (each label holds or not, independently of the others), or "auto": the
        logits before a final Softmax or Sigmoid if there is one, else the output is taken for
        logits. Several Sigmoids make independent labels.
      output: Name of the output to read, if the file has several.
      engine: Software that runs the network: "jax", which has gradients; "onnxruntime", on the
        host; or "auto", the faster of the two on this machine, measured now.
      name: Name of the network. Default: that of the file.

    Returns:
      A scorer; a `HostScorer` for onnxruntime. A network with one output has two classes; the
      first is "not" the other.

    Raises:
      UserError: The file cannot be read, is not a classifier of pictures, contradicts a
        setting, or has an unknown operator.
    """
    path = Path(path)
    check_choice("--outputs", outputs, OUTPUTS)
    check_choice("--engine", engine, ENGINES["onnx"])
    facts: dict[str, Any] = {
        "labels": labels,
        "input_size": input_size,
        "layout": layout,
        "channels": channels,
        "mean": mean,
        "std": std,
        "outputs": outputs,
        "output": output,
        "name": name,
    }
    if engine == "jax":
        return in_jax(path, **facts)
    if engine == "onnxruntime":
        return run_onnx(path, **facts)
    return faster_of(
        lambda: in_jax(path, **facts), lambda: run_onnx(path, **facts), rival="onnxruntime"
    )


def in_jax(
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
) -> Scorer:
    """Read a classifier from an ONNX file as a JAX function; the arguments are `from_onnx`'s.

    Raises:
      UserError: As `from_onnx`.
    """
    source = str(path)
    graph, sha256 = read_model(path)
    picture = read_picture(
        graph,
        layout=layout,
        input_size=input_size,
        channels=channels,
        mean=mean,
        std=std,
        source=source,
    )
    chosen = choose_output(graph, output, source=source)
    graph = pruned(graph, chosen, source=source)
    ending = ""
    if outputs not in ("logits", "label-logits"):
        graph, ending = without_softmax(graph)
    graph = pruned(joined(widened(graph)), chosen, source=source)
    program, params = build(graph, source=source)
    forward, count = _batched(program, params, picture, source=source)
    logits = to_logits(ending, outputs, count=count, source=source)
    classes = max(count, 2)
    names, wnids = class_names(
        labels, count=classes, metadata=graph.metadata, binary=count == 1, source=source
    )
    return Scorer(
        name=name if name is not None else path.stem,
        params=params,
        apply=functools.partial(_apply, forward, logits),
        preprocess=picture.preprocess,
        image_shape=picture.shape,
        input_size=size_of(*picture.sides),
        class_names=names,
        chunk=pictures_at_once(picture.sides, CHUNK),
        wnids=wnids,
        weights=path.name,
        weights_sha256=sha256,
        mean=picture.black,
        multilabel=is_multilabel(ending, outputs, count=count),
    )


def _apply(
    forward: Forward,
    logits: Callable[[Array], Array],
    params: PyTree[Array],
    x: Float[Array, "n height width depth"],
) -> Float[Array, "n classes"]:
    return logits(forward(params, x))


def _at_once(
    program: Program,
    picture: Picture,
    params: PyTree[Array],
    x: Float[Array, "n height width depth"],
) -> Array:
    """All pictures in one batch."""
    out = program.run(params, picture.enter(x))
    return jnp.asarray(lies_as(out, identity(out.ndim)))


def _in_groups(
    program: Program,
    picture: Picture,
    batch: int,
    params: PyTree[Array],
    x: Float[Array, "n height width depth"],
) -> Array:
    """Groups of as many pictures as the file is bound to; the last is filled up."""
    n = x.shape[0]
    groups = -(-n // batch)
    x = jnp.pad(x, ((0, groups * batch - n), (0, 0), (0, 0), (0, 0)))
    x = x.reshape(groups, batch, *x.shape[1:])
    out = jax.vmap(lambda group: _at_once(program, picture, params, group))(x)
    if out.shape[1:2] == (batch,):
        return out.reshape(groups * batch, *out.shape[2:])[:n]
    if batch == 1:  # the file left the axis of pictures out
        return out[:n]
    raise UserError(
        f"{program.source}: numbers of shape {out.shape[1:]} come out for {batch} pictures"
    )


def _batched(
    program: Program, params: PyTree[Array], picture: Picture, *, source: str
) -> tuple[Forward, int]:
    """The forward pass for any number of pictures, and the numbers per picture that come out.

    Where the file leaves the number of pictures open, it may still be written into a Reshape; then
    pictures are taken one by one, in parallel.

    Raises:
      UserError: The network cannot run, or no classifier comes out.
    """
    ways: list[Forward] = []
    if picture.batch is None:
        ways = [functools.partial(_at_once, program, picture)]
    ways += [functools.partial(_in_groups, program, picture, picture.batch or 1)]
    problems = []
    for forward in ways:
        try:
            shape = _shape_of(forward, params, picture, source=source)
            return functools.partial(_flat, forward), _classes(shape, source=source)
        except UserError as error:
            problems.append(error)
    raise problems[0]


_PROBE = 3
"""Pictures of the abstract run that finds the shape of what comes out."""


def _shape_of(
    forward: Forward, params: PyTree[Array], picture: Picture, *, source: str
) -> tuple[int, ...]:
    """The shape of what comes out; nothing is computed."""
    x = jax.ShapeDtypeStruct((_PROBE, *picture.sides, picture.depth), jnp.float32)
    out = jax.eval_shape(forward, params, x)
    if not jnp.issubdtype(out.dtype, jnp.floating):
        raise UserError(f"{source}: {out.dtype} numbers come out: expected one score per class")
    return tuple(out.shape)


def _flat(
    forward: Forward, params: PyTree[Array], x: Float[Array, "n height width depth"]
) -> Float[Array, "n numbers"]:
    """The output, as one row per picture."""
    out = forward(params, x)
    return out.reshape(out.shape[0], -1)


def _classes(shape: tuple[int, ...], *, source: str) -> int:
    """Numbers per picture; sides of length 1 don't count.

    Raises:
      UserError: More than one axis of numbers, as of features or of boxes.
    """
    axes = [n for n in shape[1:] if n != 1]
    if len(axes) > 1 or shape[0] != _PROBE or max(axes, default=1) > MOST_CLASSES:
        raise UserError(
            f"{source}: numbers of shape {shape[1:]} come out for a picture: expected one score "
            f"per class, at most {MOST_CLASSES}"
        )
    return axes[0] if axes else 1
