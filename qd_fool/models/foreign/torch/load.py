"""A network from a module of PyTorch: `from_torch`, and the names that `--model` takes."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from qd_fool.errors import UserError
from qd_fool.lazy import load
from qd_fool.models.foreign.answers import kind_of, noise_like
from qd_fool.models.foreign.labels import class_names
from qd_fool.models.foreign.onnx.engines import faster_of
from qd_fool.models.foreign.onnx.picture import Picture
from qd_fool.models.foreign.outputs import OUTPUTS, is_multilabel, to_logits
from qd_fool.models.foreign.pictures import (
    CHANNELS,
    LARGEST,
    LAYOUTS,
    Numbers,
    check_choice,
    per_channel,
)
from qd_fool.models.foreign.torch.export import in_jax
from qd_fool.models.foreign.torch.facts import Facts
from qd_fool.models.foreign.torch.module import TorchRunner
from qd_fool.models.foreign.torch.packages import import_package
from qd_fool.models.foreign.torch.state import sha256_of_state
from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from qd_fool.models.scorer import Scorer
from qd_fool.models.sides import Size, pictures_at_once, sides_of, size_in_words, size_of

__all__ = ["from_torch"]

ENGINES = ("torch", "jax", "auto")

SOURCES = {
    "torch": "qd_fool.models.foreign.torch.user_modules:find",
    "torchvision": "qd_fool.models.foreign.torch.torchvision_models:find",
    "timm": "qd_fool.models.foreign.torch.timm_models:find",
    "hf": "qd_fool.models.foreign.torch.hub_models:find",
}
"""Place of the function that finds a module, by the word before the colon in the name."""

CHUNK = 64
"""Pictures of 224x224 pixels per call, by default."""


def from_torch(
    module: Any,
    *,
    input_size: Size,
    class_names: str | Path | Sequence[str] | None = None,
    channels: str = "auto",
    mean: Numbers | None = None,
    std: Numbers | None = None,
    outputs: str = "auto",
    output: str | None = None,
    engine: str = "torch",
    chunk: int | None = None,
    name: str | None = None,
) -> Scorer | HostScorer:
    """Make a network from a module of PyTorch that classifies pictures.

    The module is put into eval mode, and its numbers into the order `channels_last`. It stays on
    its device, and it is shown a few pictures of noise. It takes float32
    `(n, channels, height, width)`. It has gradients, for `ascend` and the gradient emitter.

    Args:
      module: Module, of type `torch.nn.Module`.
      input_size: Side of the module's input in pixels, or height and width.
      class_names: Labels, or a file with one label per line. Default: ImageNet's for 1000 classes,
        else numbers.
      channels: Order of the channels that the module takes: "rgb" (auto), "bgr" or "gray".
      mean: One number or one per channel, in 0..255: the module gets `(pixel - mean) / std`. None:
        ImageNet's for colour, 0 for gray.
      std: One number or one per channel. None: ImageNet's for colour, 255 for gray.
      outputs: Kind of the returned numbers, as in `from_callable`.
      output: Name of the output to read, if the module returns several.
      engine: Software that runs the module: "torch"; "jax", which gets the module by way of ONNX
        and compiles it into the search; or "auto", the faster of the two on this machine.
      chunk: Pictures per call. Default: 64 of 224x224 pixels.
      name: Name of the network. Default: that of the module's class.

    Returns:
      A network, as `evolve`, `ascend` and `score_images` take it.

    Raises:
      UserError: A setting is wrong, the module fails or returns no scores of classes, or JAX cannot
        run it.
    """
    title = name if name is not None else type(module).__name__
    return make_network(
        module,
        Facts(origin=f"a module of {type(module).__module__}"),
        labels=class_names,
        input_size=input_size,
        channels=channels,
        mean=mean,
        std=std,
        outputs=outputs,
        output=output,
        engine=engine,
        chunk=chunk,
        name=title,
    )


def from_name(
    place: str,
    *,
    name: str,
    weights: Path | None,
    engine: str | None,
    layout: str,
    **flags: Any,
) -> Scorer | HostScorer:
    """Make a network from a name such as `timm:resnet18`.

    Args:
      place: Part of the name after the first colon.
      name: Whole name.
      weights: Local checkpoint, the word "random", or None for the library's own.
      engine: One of `ENGINES`; None for "auto".
      layout: Order of the input's axes, which is always "nchw".
      **flags: Further arguments of `make_network`.

    Raises:
      UserError: There is no such network, its weights are not to be had, or a flag does not fit.
    """
    check_choice("--layout", layout, LAYOUTS)
    if layout == "nhwc":
        raise UserError(f"--layout nhwc: {name} takes PyTorch's order of axes, leave it out")
    found = load(SOURCES[name.partition(":")[0]])(place, name=name, weights=weights)
    if isinstance(found, Scorer | HostScorer):
        for flag, value in (*flags.items(), ("engine", engine)):
            if value not in (None, "auto"):
                word = flag.replace("_", "-")
                raise UserError(f"--{word} {value}: {name} states its facts, leave it out")
        return dataclasses.replace(found, name=name)
    return make_network(found.module, found.facts, engine=engine or "auto", name=name, **flags)


def make_network(
    module: Any,
    facts: Facts,
    *,
    labels: str | Path | Sequence[str] | None,
    input_size: Size | None,
    channels: str,
    mean: Numbers | None,
    std: Numbers | None,
    outputs: str,
    output: str | None,
    engine: str,
    name: str,
    chunk: int | None = None,
) -> Scorer | HostScorer:
    """Make a network from a module; arguments that are given go before the library's facts.

    The arguments are those of `from_torch`.

    Raises:
      UserError: As `from_torch`.
    """
    torch = import_package("torch", asker=name)
    if not isinstance(module, torch.nn.Module):
        raise UserError(f"{name} is a {type(module).__name__}: expected a torch.nn.Module")
    check_choice("--outputs", outputs, OUTPUTS)
    check_choice("--engine", engine, ENGINES)
    picture = _picture(torch, module, facts, input_size, channels, mean, std, name=name)
    runner = TorchRunner(torch, module, output=output, name=name)

    def prepare(crops: jax.Array) -> jax.Array:
        return picture.preprocess(crops.astype(jnp.float32))

    # Show some noise, to learn how many numbers come out and of what kind they are.
    noise = runner.hand(jax.jit(prepare)(noise_like(picture.shape)))
    runner.look(noise.clone())
    probe = runner.score(noise)
    count = probe.shape[1]
    kind = kind_of(probe, facts.outputs if outputs == "auto" else outputs, source=name)
    names, wnids = class_names(
        labels if labels is not None else facts.labels,
        count=max(count, 2),
        metadata={},
        binary=count == 1,
        source=name,
    )
    cut = input_size is None and facts.picture is not None
    sides = facts.picture if cut and facts.picture is not None else picture.sides
    usual = pictures_at_once(picture.sides, CHUNK)
    if chunk is not None and chunk < 1:
        raise UserError(f"chunk is {chunk}: expected 1 or more")
    licence = f", licence {facts.licence}" if facts.licence else ""
    host = HostScorer(
        name=name,
        score=runner.score,
        numbers=count,
        to_logits=to_logits("", kind, count=count, source=name),
        image_shape=(*sides, picture.shape[2]),
        input_size=size_of(*picture.sides),
        class_names=names,
        gradient=runner.gradient,
        prepare=prepare,
        hand=runner.hand,
        chunk=chunk or usual,
        accelerator_chunk=chunk or usual,
        wnids=wnids,
        weights=f"{facts.origin}{licence}, by PyTorch {torch.__version__}",
        weights_sha256=facts.sha256 or sha256_of_state(module),
        mean=picture.black,
        multilabel=is_multilabel("", kind, count=count),
    )
    if engine == "torch":
        return host
    origin = f"{facts.origin}{licence}"

    def native() -> Scorer:
        return in_jax(torch, module, host, picture, outputs=kind, output=output, origin=origin)

    return native() if engine == "jax" else faster_of(native, lambda: host, rival="PyTorch")


def _picture(
    torch: Any,
    module: Any,
    facts: Facts,
    input_size: Size | None,
    channels: str,
    mean: Numbers | None,
    std: Numbers | None,
    *,
    name: str,
) -> Picture:
    """The input of a module, from arguments, facts and the module itself.

    Raises:
      UserError: An argument is wrong, or the size is not known.
    """
    check_choice("--channels", channels, CHANNELS)
    sides = facts.sides if input_size is None else sides_of(input_size)
    if sides is None:
        raise UserError(f"{name}: how large are its pictures? expected --input-size")
    if not 1 <= min(sides) <= max(sides) <= LARGEST:
        raise UserError(
            f"{name}: pictures of {size_in_words(sides)} pixels: expected sides of 1 to {LARGEST}"
        )
    first = next((m for m in module.modules() if isinstance(m, torch.nn.Conv2d)), None)
    depth = first.in_channels if first is not None else (1 if channels == "gray" else 3)
    if depth not in (1, 3):
        raise UserError(f"{name}: its first convolution takes {depth} channels: expected 1 or 3")
    if depth == 1 and channels in ("rgb", "bgr"):
        raise UserError(f"--channels {channels}: {name} takes gray pictures")
    if channels == "auto":
        channels = "gray" if depth == 1 else "rgb"
    imagenet = tuple(255 * v for v in IMAGENET_MEAN), tuple(255 * v for v in IMAGENET_STD)
    usual = imagenet if depth == 3 else ((0.0,), (255.0,))
    stated = [
        value if value is not None and len(value) in (1, depth) else usual[i]
        for i, value in enumerate((facts.mean, facts.std))
    ]
    return Picture(
        layout="nchw",
        sides=sides,
        channels=channels,
        depth=depth,
        mean=per_channel("--mean", mean, per_channel("--mean", stated[0], (), depth), depth),
        std=per_channel("--std", std, per_channel("--std", stated[1], (), depth), depth),
        batch=None,
    )
