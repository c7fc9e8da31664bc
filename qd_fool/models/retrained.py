"""Networks with one more class, "fooling image": the last layer, and the files that hold them.

A file has the format safetensors. The name of an array is the path in the parameters, such as
"params/conv10/kernel", and the layout is the network's. Batch normalisation is folded in already,
so the names of the original weights file would not fit.

All retraining writes this format. Older versions wrote a LeNet with eleven classes under the
ordinary names: `architectures.lenet.params_from_flat` still reads such files.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from jaxtyping import Array, PyTree

from qd_fool.errors import UserError
from qd_fool.files import replacing

NEW_CLASS = "fooling image"
"""Name of class n + 1, which comes last."""

NEW_BIAS = 1.0
"""Logit of the new class before training, for every picture: as improbable as most other classes.

It is above 0, because SqueezeNet applies a ReLU to the logits, and values below 0 have no
gradient."""

_MEAN = "mean"


def with_new_class(
    names: tuple[str, ...], wnids: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names and WNIDs of classes, followed by the class of fooling images.

    Args:
      names: One name per class.
      wnids: One WordNet identifier per class, or nothing.
    """
    return (*names, NEW_CLASS), (*wnids, NEW_CLASS) if wnids else ()


def name_leaves(params: PyTree[Array]) -> dict[str, Array]:
    """Return the arrays of a pytree by their paths, joined by slashes."""
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    return {_name(path): leaf for path, leaf in leaves}


def map_named(function, params: PyTree[Array]) -> PyTree[Array]:  # type: ignore[no-untyped-def]
    """Return the same pytree with `function(name, leaf)` in place of each array."""
    return jax.tree_util.tree_map_with_path(lambda path, leaf: function(_name(path), leaf), params)


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def head_of(params: PyTree[Array], *, classes: int) -> tuple[str, str]:
    """Return the names of the last layer's kernel and bias.

    The last layer is the only layer with as many outputs as classes.

    Raises:
      UserError: There is not exactly one such layer.
    """
    leaves = name_leaves(params)
    found = [
        (name, bias)
        for name, leaf in leaves.items()
        if name.endswith("kernel") and leaf.ndim > 1 and leaf.shape[-1] == classes
        for bias in [name.removesuffix("kernel") + "bias"]
        if bias in leaves and leaves[bias].shape == (classes,)
    ]
    if len(found) != 1:
        names = ", ".join(kernel for kernel, _ in found) or "none"
        raise UserError(
            f"the network has layers of {classes} outputs with kernel and bias: {names}; expected "
            "one, the last layer, to add a class to"
        )
    return found[0]


def has_new_class(params: PyTree[Array], *, classes: int) -> bool:
    """Return whether the last layer has one class more than `classes`."""
    try:
        head_of(params, classes=classes + 1)
    except UserError:
        return False
    return True


def add_class(params: PyTree[Array], *, classes: int) -> PyTree[Array]:
    """Add a class to a network. The class has weights 0 and bias `NEW_BIAS`.

    Args:
      params: Parameters of the network.
      classes: Number of classes before.

    Raises:
      UserError: The last layer can't be found.
    """
    kernel, bias = head_of(params, classes=classes)
    fill = {kernel: 0.0, bias: NEW_BIAS}

    def extend(name: str, leaf: Array) -> Array:
        if name not in fill:
            return leaf
        widths = [(0, 0)] * (leaf.ndim - 1) + [(0, 1)]
        return jnp.pad(leaf, widths, constant_values=fill[name])

    return map_named(extend, params)


def save_retrained(path: Path, params: PyTree[Array], *, model: str, classes: int) -> None:
    """Write a network with one more class, whole or not at all. Equal networks give equal bytes.

    Args:
      path: Path of the safetensors file.
      params: Parameters of the network.
      model: Name of the network in the zoo.
      classes: Number of classes without the new one.
    """
    flat = {
        name: np.ascontiguousarray(np.asarray(leaf, np.float32))
        for name, leaf in name_leaves(params).items()
    }
    facts = {"model": model, "classes": str(classes + 1), "class_name": NEW_CLASS}
    with replacing(path) as partial:
        partial.write_bytes(_with_sorted_facts(safetensors.numpy.save(flat, metadata=facts)))


def _with_sorted_facts(data: bytes) -> bytes:
    """Return a safetensors file with the metadata in alphabetical order.

    The library writes metadata in an order that differs from call to call. But the digest of a
    weights file must depend on the network alone. The arrays stay where they are.
    """
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return data[:8] + text.ljust(size) + data[8 + size :]


def is_retrained(flat: Mapping[str, np.ndarray]) -> bool:
    """Return whether arrays of a weights file have the names that `save_retrained` gives."""
    return any(name.endswith("/kernel") for name in flat)


def mean_of(flat: Mapping[str, np.ndarray], *, size: int, source: str) -> np.ndarray:
    """Return the mean that a retrained network subtracts, BGR: `(3,)` or `(size, size, 3)`.

    Raises:
      UserError: The file has no mean, or one of another shape.
    """
    if _MEAN not in flat:
        raise UserError(f"{source}: no array 'mean', which a network trained by Caffe subtracts")
    mean = np.asarray(flat[_MEAN])
    if mean.shape not in ((3,), (size, size, 3)):
        raise UserError(
            f"{source}: mean has shape {mean.shape}, expected (3,) or ({size}, {size}, 3)"
        )
    if mean.dtype.kind not in "fiu" or not np.isfinite(mean).all():
        raise UserError(f"{source}: mean holds values that are not finite numbers")
    return np.asarray(mean, np.float32)


def params_from_flat(
    flat: Mapping[str, np.ndarray],
    like: PyTree[Array],
    *,
    classes: int,
    model: str,
    source: str,
) -> PyTree[Array]:
    """Return the parameters in a file of `save_retrained`.

    Args:
      flat: Arrays by name.
      like: Parameters of the architecture with its usual classes. Only their shapes matter, except
        for "mean", whose values are kept.
      classes: Number of classes of `like`.
      model: Name of the architecture, for errors.
      source: Name of the file, for errors.

    Raises:
      UserError: An array is missing, surplus, of another shape, or not of finite numbers.
    """
    wanted = name_leaves(like)
    head = head_of(like, classes=classes)
    for name in sorted(set(flat) - set(wanted)):
        raise UserError(f"{source}: {name!r} is no array of {model}: is it another network's?")

    def take(name: str, leaf: Array) -> Array:
        if name not in flat:
            raise UserError(f"{source}: no array {name!r}, which {model} expects")
        if name == _MEAN:
            return leaf
        shape = (*leaf.shape[:-1], classes + 1) if name in head else leaf.shape
        array = flat[name]
        if array.shape != shape:
            raise UserError(f"{source}: {name} has shape {array.shape}, {model} expects {shape}")
        if array.dtype.kind not in "fiu":
            raise UserError(f"{source}: {name} holds {array.dtype}, expected numbers")
        array = np.asarray(array, np.float32)
        if not np.isfinite(array).all():
            raise UserError(f"{source}: {name} holds NaN or infinite numbers")
        return jnp.asarray(array)

    return map_named(take, like)
