"""The networks that have a name, and how to get one with its weights."""

import dataclasses
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

import numpy as np
from jaxtyping import Array, Float, PyTree

from qd_fool.models import lenet
from qd_fool.models.readers import read_weights
from qd_fool.models.scorer import Scorer
from qd_fool.registry import Registry


@dataclasses.dataclass(frozen=True)
class ZooEntry:
    """What is known of a network: the facts that `qd-fool models` prints.

    Attributes:
      name: how it is asked for.
      architecture: for people.
      shipped: the weights file inside this package; empty where there is none.
      source: who trained the weights, and how.
      licence: of the weights.
      parameters: how many numbers they are.
      preprocessing: for people.
      accuracy: as measured by the command that is named with it.
      image_shape, input_size, class_names, chunk: as in `Scorer`.
      params_from_flat: the architecture's name map.
      apply, preprocess: as in `Scorer`.
    """

    name: str
    architecture: str
    shipped: str
    source: str
    licence: str
    parameters: int
    preprocessing: str
    accuracy: str
    image_shape: tuple[int, int, int]
    input_size: int
    class_names: tuple[str, ...]
    chunk: int
    params_from_flat: Callable[..., PyTree[Array]]
    apply: Callable[[PyTree[Array], Float[Array, "n size size channels"]], Array]
    preprocess: Callable[[Float[Array, "n size size channels"]], Array]

    def scorer(self, flat: Mapping[str, np.ndarray], *, source: str, sha256: str = "") -> Scorer:
        """A scorer with weights that have been read already.

        Raises:
          UserError: the arrays do not fit the architecture.
        """
        return Scorer(
            name=self.name,
            params=self.params_from_flat(flat, source=source),
            apply=self.apply,
            preprocess=self.preprocess,
            image_shape=self.image_shape,
            input_size=self.input_size,
            class_names=self.class_names,
            chunk=self.chunk,
            weights=source,
            weights_sha256=sha256,
        )


ZOO: Registry[ZooEntry] = Registry("model")


def _lenet(name: str, seed: int, accuracy: str) -> None:
    ZOO.register(name)(
        ZooEntry(
            name=name,
            architecture="Caffe's LeNet (no non-linearity after the convolutions)",
            shipped=f"{name}.safetensors",
            source=f"trained by this project: qd-fool train --seed {seed}",
            licence="MIT",
            parameters=sum(int(np.prod(s)) for s in lenet.SHAPES.values()),
            preprocessing="gray 28x28, pixel / 256, no mean",
            accuracy=accuracy,
            image_shape=(28, 28, 1),
            input_size=28,
            class_names=tuple(str(digit) for digit in range(10)),
            chunk=100,
            params_from_flat=lenet.params_from_flat,
            apply=lenet.apply,
            preprocess=lenet.preprocess,
        )
    )


_lenet("lenet", seed=0, accuracy="99.08% on the MNIST test set (qd-fool train --seed 0 --out FILE)")
_lenet(
    "lenet-b", seed=1, accuracy="99.15% on the MNIST test set (qd-fool train --seed 1 --out FILE)"
)


def load_scorer(name: str, *, weights: str | Path | None = None) -> Scorer:
    """A network of the zoo, ready to score pictures.

    Args:
      name: "lenet", "lenet-b", ...
      weights: a file to take instead of the shipped one; its format is told from its content.

    Raises:
      UserError: no such model, or weights that cannot be read or do not fit.
    """
    entry = ZOO[name]
    if weights is not None:
        flat, sha256 = read_weights(weights)
        return entry.scorer(flat, source=str(weights), sha256=sha256)
    with resources.as_file(resources.files("qd_fool.models") / "weights" / entry.shipped) as path:
        flat, sha256 = read_weights(path)
    return entry.scorer(flat, source=entry.shipped, sha256=sha256)
