"""The seam between pictures and networks: the facts of a network."""

import dataclasses
from collections.abc import Callable

import jax
from jaxtyping import Array, Float, PyTree

__all__ = ["Scorer", "default_chunk"]


@dataclasses.dataclass(frozen=True, eq=False)
class Scorer:
    """A classifier, with all that is needed to show it 8-bit pictures.

    It alone knows means, scales and channel order; genomes and images know nothing of them.

    Attributes:
      name: as in the zoo.
      params: pytree of arrays; handed to `apply` as an argument.
      apply: `(params, x (n, size, size, channels)) -> logits (n, classes)`.
      preprocess: crops in units of 0..255, `(n, size, size, channels)` RGB or gray, to `x`.
      image_shape: `(height, width, channels)`, the default size of a genome's picture.
      input_size: side of the network's square input, in pixels.
      class_names: a name a class, in order of index.
      chunk: pictures scored at once unless told otherwise; a good size for a CPU core.
      accelerator_chunk: likewise, for a GPU or TPU.
      wnids: WordNet identifier a class, for networks of ImageNet; else empty.
      weights: where `params` came from, for people.
      weights_sha256: of the file that `params` were read from.
      mean: what preprocessing takes for black, a value a channel in 0..255, in the order of the
        pictures' channels: the picture that carries no information, from which ascent starts.
        Empty: 0.
      members: the networks of a joint scorer (`models.joint`), whose `params` is a tuple of theirs
        and which has no forward pass of its own; else empty.
      joint: from log-odds `(networks, n, classes)` of the members to those of all; else None.
    """

    name: str
    params: PyTree[Array]
    apply: Callable[[PyTree[Array], Float[Array, "n size size channels"]], Array]
    preprocess: Callable[[Float[Array, "n size size channels"]], Array]
    image_shape: tuple[int, int, int]
    input_size: int
    class_names: tuple[str, ...]
    chunk: int
    accelerator_chunk: int = 200
    wnids: tuple[str, ...] = ()
    weights: str = ""
    weights_sha256: str = ""
    mean: tuple[float, ...] = ()
    members: tuple["Scorer", ...] = ()
    joint: Callable[[Array], Array] | None = None


def default_chunk(scorer: Scorer) -> int:
    """Pictures scored at once unless told otherwise, on this machine's kind of device.

    It divides the paper's batches over one, two or four devices: what is left over of a batch is
    filled up with pictures that nobody wants scored.
    """
    return scorer.chunk if jax.default_backend() == "cpu" else scorer.accelerator_chunk
