"""From the flat `{name: array}` of a weights file to an architecture's parameters."""

from collections.abc import Mapping, Sequence

import numpy as np

from qd_fool.errors import UserError

__all__ = ["conv_kernel", "dense_kernel", "take_arrays"]

Shapes = Mapping[str, tuple[int, ...]]
"""The arrays of an architecture by name, in the layout of Caffe and PyTorch (OIHW, out x in)."""


def with_biases(kernels: Shapes) -> Shapes:
    """Return the arrays of layers that each have a kernel and a bias.

    Args:
      kernels: Shape of each layer's kernel, whose first axis is the layer's outputs.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for name, shape in kernels.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


def take_arrays(
    flat: Mapping[str, np.ndarray],
    shapes: Shapes,
    *,
    model: str,
    source: str,
    spellings: Sequence[Mapping[str, str]] = ({},),
    ignore: Sequence[str] = (),
    only: bool = True,
) -> dict[str, np.ndarray]:
    """The arrays that an architecture is made of, under its own names, as float32.

    Arrays may carry leading axes of length 1, as old Caffe files do (`1 x 1 x 500 x 800`).

    Args:
      flat: from a reader.
      shapes: what is wanted.
      model: the architecture's name, for errors.
      source: the file's name, for errors.
      spellings: the ways in which files spell the names, each `{wanted name: name in the file}` for
        those that differ; the one that fits best is taken.
      ignore: ends of names that mean nothing for inference.
      only: whether other arrays are refused; they would be dropped without a word.

    Raises:
      UserError: names the first array that is missing, surplus, of another shape or not of finite
        numbers.
    """
    spelling = max(spellings, key=lambda s: sum(s.get(name, name) in flat for name in shapes))
    arrays = {}
    for wanted, shape in shapes.items():
        name = spelling.get(wanted, wanted)
        if name not in flat:
            have = _few(sorted(flat))
            raise UserError(f"{source}: no array {name!r}, which {model} expects (found: {have})")
        if flat[name].dtype.kind not in "fiu":
            raise UserError(f"{source}: {name} holds {flat[name].dtype}, expected numbers")
        array = np.asarray(flat[name], np.float32)
        while array.ndim > len(shape) and array.shape[0] == 1:
            array = array[0]
        if array.shape != shape:
            raise UserError(f"{source}: {name} has shape {array.shape}, {model} expects {shape}")
        if not np.isfinite(array).all():
            raise UserError(f"{source}: {name} holds NaN or infinite numbers")
        arrays[wanted] = array
    known = {spelling.get(name, name) for name in shapes}
    for name in sorted(flat) if only else ():
        if name not in known and not name.endswith(tuple(ignore)):
            raise UserError(f"{source}: {name!r} is no array of {model}: of another network?")
    return arrays


def _few(names: Sequence[str], *, count: int = 12) -> str:
    more = f", ... {len(names)} in all" if len(names) > count else ""
    return (", ".join(names[:count]) or "none") + more


def conv_kernel(weight: np.ndarray) -> np.ndarray:
    """OIHW to HWIO."""
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0))


def dense_kernel(weight: np.ndarray, *, maps: tuple[int, int, int] | None = None) -> np.ndarray:
    """`(out, in)` to `(in, out)`; over maps, from (channels, height, width) order to ours.

    Args:
      weight: `(out, in)`.
      maps: `(channels, height, width)` of the maps that are flattened into the inputs.
    """
    if maps is None:
        return np.ascontiguousarray(weight.T)
    out = weight.shape[0]
    return np.ascontiguousarray(weight.reshape(out, *maps).transpose(2, 3, 1, 0).reshape(-1, out))
