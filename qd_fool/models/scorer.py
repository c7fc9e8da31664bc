"""The interface between pictures and networks: a network that runs in JAX, and its facts."""

import dataclasses
from collections.abc import Callable

from jaxtyping import Array, Float, PyTree

from qd_fool.models.sides import Size

__all__ = ["Scorer"]


@dataclasses.dataclass(frozen=True, eq=False)
class Scorer:
    """A classifier, with everything that is needed to score 8-bit pictures.

    Only this class knows means, scales and the order of channels. Genomes and pictures do not
    depend on them.

    Attributes:
      name: Name, as in the zoo.
      params: Pytree of arrays, the first argument of `apply`.
      apply: Function `(params, x (n, height, width, channels)) -> logits (n, classes)`.
      preprocess: Function from crops in units of 0..255, `(n, height, width, channels)` RGB or
        gray, to `x`.
      image_shape: Default shape of a genome's picture, `(height, width, channels)`.
      input_size: Side of the network's square input in pixels, or its height and width.
      class_names: One name per class, in order of index.
      chunk: Default number of pictures scored at once; a good size for a CPU core.
      accelerator_chunk: Default number of pictures scored at once on a GPU or TPU.
      wnids: One WordNet identifier per class, for networks of ImageNet; else empty.
      weights: Origin of `params`, for people.
      weights_sha256: SHA-256 of the file that `params` were read from.
      mean: Colour that preprocessing maps to 0, one value per channel in 0..255, in the order of
        the pictures' channels. A picture of this colour carries no information, and ascent starts
        from it. Empty means 0.
      multilabel: Whether each class is a label that holds or not, independently of the others. Its
        confidence is then the sigmoid of its logit, not the softmax of all.
    """

    name: str
    params: PyTree[Array]
    apply: Callable[[PyTree[Array], Float[Array, "n height width channels"]], Array]
    preprocess: Callable[[Float[Array, "n height width channels"]], Array]
    image_shape: tuple[int, int, int]
    input_size: Size
    class_names: tuple[str, ...]
    chunk: int
    accelerator_chunk: int = 200
    wnids: tuple[str, ...] = ()
    weights: str = ""
    weights_sha256: str = ""
    mean: tuple[float, ...] = ()
    multilabel: bool = False
