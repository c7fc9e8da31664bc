"""Operators: functions from a call (node, values, version) to values, by name.

An operator returns arrays in ONNX's order of axes, or `Laid` ones. Operators in arithmetic
on shapes use `call.xp`, which is NumPy if nothing depends on the picture. Other operators may use
JAX only, which then runs at once.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from qd_fool.errors import UserError
from qd_fool.models.foreign.onnx.graph import Graph, Node
from qd_fool.models.foreign.onnx.values import (
    Laid,
    Order,
    Value,
    common_order,
    is_static,
    jax_dtype,
    lay,
    lies_as,
    plain,
)
from qd_fool.registry import Registry

MOST_NUMBERS = 2**28
"""Highest number of numbers in one value, a gigabyte of float32. Files with more are refused."""


class Unfit(Exception):
    """A node cannot be run. The text is the reason; `evaluate` adds the node."""


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """A node with its values.

    Attributes:
      node: The node.
      opset: Version of the operators.
      inputs: One value per input of the node; None for one that isn't given.
      branch: Runs a branch of the node and returns its values.
    """

    node: Node
    opset: int
    inputs: tuple[Value | None, ...]
    branch: Callable[[Graph], Sequence[Value]]

    @property
    def xp(self) -> Any:
        """NumPy where nothing depends on the picture, else JAX's."""
        return np if all(is_static(value) for value in self.inputs) else jnp

    def has(self, index: int) -> bool:
        """Whether an input is given."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def value(self, index: int) -> Value:
        """An input that must be given."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is None:
            raise Unfit(f"input {index + 1} is missing")
        return value

    def array(self, index: int) -> Array | np.ndarray:
        """An input with its axes as ONNX counts them."""
        return plain(self.value(index))

    def arrays(self) -> list[Array | np.ndarray]:
        """All inputs that are given, with their axes as ONNX counts them."""
        return [plain(value) for value in self.inputs if value is not None]

    def laid(self, index: int) -> Laid:
        """An input with its order of axes; NumPy becomes JAX's."""
        value = self.value(index)
        return value if isinstance(value, Laid) else lay(jnp.asarray(value))

    def static(self, index: int) -> np.ndarray:
        """An input that must not depend on the picture."""
        value = self.value(index)
        if isinstance(value, Laid):
            raise Unfit(f"input {index + 1} depends on the picture, and must be known before")
        return value

    def integers(self, index: int) -> tuple[int, ...]:
        """An input of whole numbers that must not depend on the picture."""
        return tuple(int(number) for number in self.static(index).reshape(-1))

    def setting(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.node.attributes.get(name, default)

    def listed(self, index: int, name: str) -> tuple[int, ...] | None:
        """Whole numbers that older versions keep in an attribute, newer ones in an input."""
        if self.has(index):
            return self.integers(index)
        found = self.setting(name)
        return None if found is None else tuple(found)


Operator = Callable[[Call], Any]

OPERATORS: Registry[Operator] = Registry("ONNX operator")
"""The operators, by their names in ONNX; `operators` fills it."""


def operator(*names: str) -> Callable[[Operator], Operator]:
    """A decorator that enters an operator under its names."""

    def enter(function: Operator) -> Operator:
        for name in names:
            OPERATORS.register(name)(function)
        return function

    return enter


def pointwise(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator for functions `(xp, *arrays)` that work number by number."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        @operator(*names)
        def run(call: Call) -> Any:
            return numbers(call, function)

        return function

    return enter


def numbers(call: Call, function: Callable[..., Any]) -> Value:
    """Apply a function `(xp, *arrays)` number by number to all inputs, after broadcasting."""
    given = [value for value in call.inputs if value is not None]
    check_size(np.broadcast_shapes(*(value.shape for value in given)))
    if call.xp is np:
        return np.asarray(function(np, *given))
    order: Order = common_order(given)
    arrays: list[Any] = [lies_as(value, order) for value in given]
    # Constants of 64 bits become what JAX makes of them: it warns of a result of that type.
    for i, array in enumerate(arrays):
        if isinstance(array, np.ndarray):
            arrays[i] = array.astype(jax_dtype(array.dtype), copy=False)
    return Laid(function(jnp, *arrays), order)


def axis_of(axis: int, rank: int) -> int:
    """A count from the front for one that may be from the end."""
    if not -rank <= axis < max(rank, 1):
        raise Unfit(f"axis {axis} of a value with {rank} axes")
    return axis % max(rank, 1)


def axes_of(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Counts from the front for several axes."""
    return tuple(axis_of(int(axis), rank) for axis in axes)


def check_size(shape: Sequence[int]) -> None:
    """See that a value of a shape may be made."""
    if min(shape, default=0) < 0 or math.prod(shape) > MOST_NUMBERS:
        raise Unfit(f"asks for a value of shape {tuple(shape)}")


def evaluate(call: Call, *, source: str) -> list[Value]:
    """The values that a node gives.

    Args:
      call: The node and its inputs.
      source: Name of the file, for errors.

    Raises:
      UserError: There is no such operator here, or it cannot run on these values.
    """
    known = find(call.node, source=source)
    static = call.xp is np
    try:
        if static:  # JAX's functions run at once, so that the result is a number, not a program
            with jax.ensure_compile_time_eval():
                made = known(call)
        else:
            made = known(call)
    except (
        *(Unfit, TypeError, ValueError, IndexError, KeyError, AttributeError),
        *(ArithmeticError, MemoryError, NotImplementedError),
    ) as error:
        line = str(error).split("\n")[0]
        raise UserError(f"{source}: {call.node} cannot run: {line}") from error
    results = made if isinstance(made, (tuple, list)) else [made]
    values = [_as_value(result, static) for result in results]
    for value in values:
        if math.prod(value.shape) > MOST_NUMBERS:
            raise UserError(f"{source}: {call.node} makes a value of shape {value.shape}")
    return values


def find(node: Node, *, source: str) -> Operator:
    """The operator of a node.

    Raises:
      UserError: There is none.
    """
    if node.domain or node.operator not in OPERATORS:
        full = f"{node.domain}.{node.operator}" if node.domain else node.operator
        raise UserError(
            f"{source}: the ONNX operator {full} of node {node.name!r} has no form in JAX here: "
            "use --engine onnxruntime"
        )
    return OPERATORS[node.operator]


def _as_value(result: Any, static: bool) -> Value:
    if static:
        return np.asarray(plain(result) if isinstance(result, Laid) else result)
    if isinstance(result, (Laid, np.ndarray)):
        return result
    return lay(result) if isinstance(result, jax.Array) else np.asarray(result)
