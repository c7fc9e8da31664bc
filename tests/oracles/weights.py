"""Random weights of any network of the zoo, in the layout of its files: well scaled, seeded."""

import numpy as np

from qd_fool.models.entry import ZooEntry


def random_flat(entry: ZooEntry, seed: int = 0) -> dict[str, np.ndarray]:
    """He's normal for kernels; batch normalisation near the identity; small biases."""
    rng = np.random.default_rng(seed)

    def array(name: str, shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) > 1:
            fan_in = int(np.prod(shape[1:]))
            return rng.standard_normal(shape, np.float32) * np.float32((2 / fan_in) ** 0.5)
        if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
            return rng.uniform(0.8, 1.2, shape).astype(np.float32)
        return rng.normal(0, 0.1, shape).astype(np.float32)

    return {name: array(name, shape) for name, shape in entry.shapes.items()}
