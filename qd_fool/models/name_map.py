"""Arrays of a weights file, by name, made into the parameters of an architecture."""

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


WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.")
"""Beginnings that PyTorch's wrappers give to all names: parallel training, compilation, scripts."""


def without_wrapper(
    flat: Mapping[str, np.ndarray], shapes: Shapes
) -> tuple[dict[str, np.ndarray], str]:
    """Return arrays under the names that they have without a wrapper, and the wrapper's beginning.

    A beginning is taken off only if all names have it, and no array of the architecture does.

    Args:
      flat: Arrays by name, from a reader.
      shapes: Shapes of the arrays of the architecture.
    """
    names, wrapper = list(flat), ""
    while names:
        found = next((w for w in WRAPPERS if all(name.startswith(w) for name in names)), None)
        if found is None or any(name.startswith(found) for name in shapes):
            break
        names, wrapper = [name.removeprefix(found) for name in names], wrapper + found
    return dict(zip(names, flat.values(), strict=True)), wrapper


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
    """Return the arrays of an architecture, under the architecture's names, as float32.

    Arrays may have leading axes of length 1, as in old Caffe files (`1 x 1 x 500 x 800`).

    Args:
      flat: Arrays by name, from a reader.
      shapes: Shapes of the arrays of the architecture.
      model: Name of the architecture, for errors.
      source: Name of the file, for errors.
      spellings: Ways in which files spell the names, each as `{architecture's name: name in the
        file}` for names that differ. The spelling with the most matches is used.
      ignore: Ends of names of arrays that inference does not need.
      only: Whether other arrays are an error; otherwise they are ignored.

    Raises:
      UserError: An array is missing, surplus, of another shape or not of finite numbers. The
        message names the first one.
    """
    # Find each array, and check it.
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

    # Refuse arrays that belong to something else.
    known = {spelling.get(name, name) for name in shapes}
    for name in sorted(flat) if only else ():
        if name not in known and not name.endswith(tuple(ignore)):
            raise UserError(f"{source}: {name!r} is no array of {model}: is it another network's?")
    return arrays


def _few(names: Sequence[str], *, count: int = 12) -> str:
    more = f", ... {len(names)} in all" if len(names) > count else ""
    return (", ".join(names[:count]) or "none") + more


def conv_kernel(weight: np.ndarray) -> np.ndarray:
    """Return the kernel of a convolution in HWIO, from OIHW."""
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0))


def dense_kernel(weight: np.ndarray, *, maps: tuple[int, int, int] | None = None) -> np.ndarray:
    """Return the kernel of a dense layer, `(in, out)`.

    Args:
      weight: Weight `(out, in)`. If the inputs are maps, they are in (channels, height, width)
        order; the result has them in (height, width, channels) order.
      maps: Shape `(channels, height, width)` of the maps that are flattened into the inputs.
    """
    if maps is None:
        return np.ascontiguousarray(weight.T)
    out = weight.shape[0]
    return np.ascontiguousarray(weight.reshape(out, *maps).transpose(2, 3, 1, 0).reshape(-1, out))
