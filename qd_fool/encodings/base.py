"""The interface of encodings, which make pictures from genomes; and their registration."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree, UInt8

from qd_fool.encodings.table import ENCODINGS
from qd_fool.errors import UserError

__all__ = ["ENCODINGS", "Encoding", "Operator", "Variables", "make_encoding", "register_encoding"]


Window = tuple[int, int, int, int]
"""Top, left, height and width in pixels of a part of a picture."""


@dataclasses.dataclass(frozen=True)
class Variables:
    """The continuous part of a genome, which gradient ascent moves. The rest does not change.

    Attributes:
      take: `genomes -> values (n, size)`, float32.
      put: `genomes, values -> genomes` with these values, clipped to the bounds and rounded to
        values that a genome can hold.
      draw: `genomes, values -> images (n, height, width, channels)` in units of 0..255, float,
        unrounded and differentiable with respect to the values.
      low, high: Lowest and highest value.
      rate: Default learning rate, in units of a value's step.
      steps: `genomes -> (n, size)`, the change of each value in a step of 1; 0 for unused places.
        Steps differ because values do: a weight on a raw column number changes a picture 100
        times more than a bias.
    """

    take: Callable[[PyTree[Array]], Float[Array, "n size"]]
    put: Callable[[PyTree[Array], Float[Array, "n size"]], PyTree[Array]]
    draw: Callable[[PyTree[Array], Float[Array, "n size"]], Float[Array, "n height width channels"]]
    low: float
    high: float
    rate: float
    steps: Callable[[PyTree[Array]], Float[Array, "n size"]]


@dataclasses.dataclass(frozen=True)
class Operator:
    """A way to make a small change, whose size is given.

    Attributes:
      vary: `keys (n,), parents, mates, steps (n,) -> offspring`, genomes `(n, ...)` each.
      step: Default size of a step, in units of the encoding's choice.
    """

    vary: Callable[
        [Key[Array, " n"], PyTree[Array], PyTree[Array], Float[Array, " n"]], PyTree[Array]
    ]
    step: float


@dataclasses.dataclass(frozen=True)
class Encoding:
    """A family of genomes, as pure functions over pytrees with a leading population axis.

    All randomness comes from one key per individual, so that results do not depend on how a batch
    is split over devices.

    Attributes:
      name: Name under which the encoding is registered.
      settings: Settings of the encoding, a frozen dataclass of plain values. A run records them.
      image_shape: Shape of the pictures, `(height, width, channels)`.
      init: `keys (n,) -> genomes (n, ...)`, random individuals.
      vary: `keys (n,), parents, mates, generation -> offspring`, genomes `(n, ...)` each. `mates`
        are second parents, which an encoding without crossover ignores; `generation` is a scalar.
      render: `genomes -> images (n, height, width, channels)`, uint8: exactly the pictures that are
        scored and saved.
      render_float: `genomes -> images` in units of 0..255, unrounded and differentiable; None if
        the genome has no gradient.
      variables: Values of a genome that gradient ascent can move; None if there are none.
      render_at: `genomes, (height, width) -> images` on the host, the pictures drawn at another
        size, in parts, so that memory is bounded; None if there is only one size.
      render_window: `genomes, (top, left, height, width) -> images`, the same bytes as this part of
        the pictures, drawn with less work; None if the whole picture must be drawn.
      refusals: `genomes -> (n,)`, the number of mutations that were skipped when each genome was
        made, because they would have exceeded its capacity; None if this cannot happen.
      operators: Ways to make small changes, by name. The emitters of these names use them.
      meaning: Names of the settings that decide how a genome is read. They must be equal for one
        run to start from genomes of another.
      describe: `genomes on the host, index -> dict`, one genome as values for JSON; None if the
        encoding has no description.
    """

    name: str
    settings: Any
    image_shape: tuple[int, int, int]
    init: Callable[[Key[Array, " n"]], PyTree[Array]]
    vary: Callable[[Key[Array, " n"], PyTree[Array], PyTree[Array], Array], PyTree[Array]]
    render: Callable[[PyTree[Array]], UInt8[Array, "n height width channels"]]
    render_float: Callable[[PyTree[Array]], Array] | None = None
    variables: Variables | None = None
    render_at: (
        Callable[[PyTree[Array], tuple[int, int]], UInt8[np.ndarray, "n height width channels"]]
        | None
    ) = None
    render_window: (
        Callable[[PyTree[Array], Window], UInt8[Array, "n height width channels"]] | None
    ) = None
    refusals: Callable[[PyTree[Array]], Int[Array, " n"]] | None = None
    operators: Mapping[str, Operator] = dataclasses.field(default_factory=dict, hash=False)
    meaning: tuple[str, ...] = ()
    describe: Callable[[PyTree[Any], int], dict[str, Any]] | None = None


LARGEST = 4096
"""Longest side of a picture in pixels. To draw one of this size takes about 2 GB."""


EncodingBuilder = Callable[[tuple[int, int, int], Any], Encoding]


def register_encoding(
    name: str, *, settings: type[Any]
) -> Callable[[EncodingBuilder], EncodingBuilder]:
    """A decorator that registers a builder of an encoding.

    Args:
      name: Name of the encoding.
      settings: Frozen dataclass of its settings; see `SettingsRegistry.register_builder`.
    """
    return ENCODINGS.register_builder(name, settings)


def make_encoding(name: str, image_shape: tuple[int, int, int], **settings: Any) -> Encoding:
    """Build a registered encoding for pictures of a given shape.

    Args:
      name: Name of the encoding: "direct", "cppn", ...
      image_shape: Shape of the pictures, `(height, width, channels)`, such as a scorer's
        `image_shape`.
      **settings: Fields of the encoding's settings, such as `genes="float"`.

    Raises:
      UserError: There is no such encoding or setting, or a setting is out of range.
    """
    entry = ENCODINGS[name]
    known = [field.name for field in dataclasses.fields(entry.settings)]
    for setting in settings:
        if setting not in known:
            raise UserError(f"the {name} encoding has no setting {setting!r}: {', '.join(known)}")
    return entry.build(image_shape, entry.settings(**settings))


def image_shape_of(value: Any, *, source: str) -> tuple[int, int, int]:
    """Return the shape of pictures that a file states.

    Args:
      value: Value from the file.
      source: Name of the file, for the error.

    Raises:
      UserError: The value is no shape of gray or RGB pictures, or a side is too long.
    """
    whole = isinstance(value, list) and len(value) == 3 and all(type(n) is int for n in value)
    if not whole or not 1 <= min(value) <= max(value) <= LARGEST or value[2] not in (1, 3):
        raise UserError(
            f"{source}: image_shape is {value!r}, expected [height, width, channels], sides up to "
            f"{LARGEST}, 1 or 3 channels"
        )
    height, width, channels = value
    return height, width, channels


def genome_shapes(encoding: Encoding) -> PyTree[Any]:
    """The shapes and types of genomes, with a leading axis of 1."""
    key = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 1))
    return jax.eval_shape(encoding.init, key)


def genome_bytes(encoding: Encoding) -> int:
    """The size of one genome in bytes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(genome_shapes(encoding)))
