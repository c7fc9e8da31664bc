"""Values between nodes: arrays with a lazy order of axes, or NumPy where no picture enters.

ONNX means NCHW; XLA's CPU backend wants NHWC. So an array carries the order in which its axes lie,
a Transpose only changes that order, and numbers move when an operator needs another one. What
doesn't depend on the picture is a NumPy array, so that arithmetic on shapes is done by then.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

import jax
import numpy as np
from jaxtyping import Array

Order = tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Laid:
    """An array whose axes may lie in another order than ONNX counts them in.

    Attributes:
      array: The numbers.
      order: Axis i as ONNX counts is axis `order[i]` of the array.
    """

    array: Array
    order: Order

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes, as ONNX counts them."""
        return tuple(self.array.shape[axis] for axis in self.order)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.order)

    @property
    def dtype(self) -> Any:
        """Type of the numbers."""
        return self.array.dtype


Value = Laid | np.ndarray


def is_static(value: Value | None) -> TypeGuard[np.ndarray | None]:
    """Whether no picture and no parameter enters."""
    return not isinstance(value, Laid)


def identity(rank: int) -> Order:
    """The order in which nothing moves."""
    return tuple(range(rank))


def channels_last(rank: int) -> Order:
    """The order of (n, channels, *sides) that lies as (n, *sides, channels)."""
    return (0, rank - 1, *range(1, rank - 1))


def kernel_last(rank: int) -> Order:
    """The order of (features, channels, *sides) that lies as (*sides, channels, features)."""
    return (rank - 1, rank - 2, *range(rank - 2))


def lay(array: Array) -> Laid:
    """An array whose axes lie as ONNX counts them."""
    return Laid(array, identity(array.ndim))


def inverse(order: Sequence[int]) -> Order:
    """The order that undoes one."""
    back = [0] * len(order)
    for axis, place in enumerate(order):
        back[place] = axis
    return tuple(back)


def lies_as(value: Value, order: Order) -> Array | np.ndarray:
    """The numbers of a value in an order of axes; missing axes are put in front, of length 1."""
    array: Any
    if isinstance(value, Laid):
        if value.order == order:
            return value.array
        array, now = value.array, value.order
    else:
        array, now = value, identity(value.ndim)
    if array.ndim == 0:
        return array
    missing = len(order) - array.ndim
    if missing > 0:
        array = array.reshape((1,) * missing + array.shape)
        now = (*range(missing), *(missing + place for place in now))
    axes = tuple(now[axis] for axis in inverse(order))
    return array if axes == identity(len(axes)) else array.transpose(axes)


def plain(value: Value) -> Array | np.ndarray:
    """The numbers with their axes as ONNX counts them."""
    return lies_as(value, identity(value.ndim))


def without(order: Order, axes: Iterable[int]) -> Order:
    """The order that is left when axes, as ONNX counts them, are gone."""
    gone = set(axes)
    left = [place for axis, place in enumerate(order) if axis not in gone]
    return tuple(sorted(left).index(place) for place in left)


def common_order(values: Iterable[Value]) -> Order:
    """The order in which several values meet with the fewest numbers moved."""
    known = list(values)
    rank = max(value.ndim for value in known)
    full = [v for v in known if isinstance(v, Laid) and v.ndim == rank]
    return max(full, key=lambda v: v.array.size).order if full else identity(rank)


def jax_dtype(dtype: Any) -> Any:
    """The type that JAX takes for one of NumPy's: 64 bits become 32 unless they are enabled."""
    return jax.dtypes.canonicalize_dtype(dtype)
