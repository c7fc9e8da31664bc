"""Networks with one more class, "fooling image": their last layer, and the files that hold them.

A file is safetensors. Its arrays are named by their path in the parameters ("params/conv10/kernel")
and laid out as the network uses them; batch normalisation is folded in already, so that no name of
the file that the training began with would fit.

All retraining writes this format. (Older versions wrote a LeNet of eleven classes under the names
of an ordinary LeNet: `architectures.lenet.params_from_flat` still reads such files.)
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
"""The name of class n + 1, which comes last."""

NEW_BIAS = 1.0
"""Logit of the new class before training, for every picture: as improbable as most other classes.

Above 0, since SqueezeNet applies a ReLU to its logits, and values below 0 have no gradient."""

_MEAN = "mean"


def with_new_class(
    names: tuple[str, ...], wnids: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and WNIDs of classes, and behind them those of the class of fooling images.

    Args:
      names: One name per class.
      wnids: One WordNet identifier per class, or nothing.
    """
    return (*names, NEW_CLASS), (*wnids, NEW_CLASS) if wnids else ()


def name_leaves(params: PyTree[Array]) -> dict[str, Array]:
    """The arrays of a pytree by their path, joined by slashes."""
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    return {_name(path): leaf for path, leaf in leaves}


def map_named(function, params: PyTree[Array]) -> PyTree[Array]:  # type: ignore[no-untyped-def]
    """`function(name, leaf)` of each array, in the same pytree."""
    return jax.tree_util.tree_map_with_path(lambda path, leaf: function(_name(path), leaf), params)


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def head_of(params: PyTree[Array], *, classes: int) -> tuple[str, str]:
    """Names of the last layer's kernel and bias: the one layer with as many outputs as classes.

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
            "one, its last, to give it a class more"
        )
    return found[0]


def has_new_class(params: PyTree[Array], *, classes: int) -> bool:
    """Whether the last layer has one class more than `classes`."""
    try:
        head_of(params, classes=classes + 1)
    except UserError:
        return False
    return True


def add_class(params: PyTree[Array], *, classes: int) -> PyTree[Array]:
    """The same network with one more class, whose weights are zero and whose bias is `NEW_BIAS`.

    Args:
      params: Parameters of the network.
      classes: How many classes the network has.

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
    """Write a network with one more class, whole or not at all. Same network, same bytes.

    Args:
      path: Where to write; a safetensors file.
      params: Parameters of the network.
      model: Name of the network in the zoo.
      classes: How many classes the network has without the new one.
    """
    flat = {
        name: np.ascontiguousarray(np.asarray(leaf, np.float32))
        for name, leaf in name_leaves(params).items()
    }
    facts = {"model": model, "classes": str(classes + 1), "class_name": NEW_CLASS}
    with replacing(path) as partial:
        partial.write_bytes(_with_sorted_facts(safetensors.numpy.save(flat, metadata=facts)))


def _with_sorted_facts(data: bytes) -> bytes:
    """A safetensors file with its metadata in alphabetical order.

    The library writes metadata in an order that differs from call to call; the digest of a weights
    file is to depend on the network alone. The arrays stay where they are.
    """
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return data[:8] + text.ljust(size) + data[8 + size :]


def is_retrained(flat: Mapping[str, np.ndarray]) -> bool:
    """Whether arrays of a weights file have names that `save_retrained` gives them."""
    return any(name.endswith("/kernel") for name in flat)


def mean_of(flat: Mapping[str, np.ndarray], *, size: int, source: str) -> np.ndarray:
    """The mean that a retrained network subtracts, BGR: `(3,)`, or `(size, size, 3)`.

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
        raise UserError(f"{source}: mean holds something else than finite numbers")
    return np.asarray(mean, np.float32)


def params_from_flat(
    flat: Mapping[str, np.ndarray],
    like: PyTree[Array],
    *,
    classes: int,
    model: str,
    source: str,
) -> PyTree[Array]:
    """The parameters in a file of `save_retrained`.

    Args:
      flat: Arrays by name.
      like: Parameters of the architecture with its usual classes. Only their shapes matter, except
        for "mean", whose values are kept.
      classes: How many classes `like` has.
      model: Name of the architecture, for errors.
      source: Name of the file, for errors.

    Raises:
      UserError: An array is missing, surplus, of another shape, or not of finite numbers.
    """
    wanted = name_leaves(like)
    head = head_of(like, classes=classes)
    for name in sorted(set(flat) - set(wanted)):
        raise UserError(f"{source}: {name!r} is no array of {model}: of another network?")

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
