"""What devices send each other, read from a compiled program."""

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["collective_bytes"]

COLLECTIVES = ("all-gather", "all-reduce", "reduce-scatter", "collective-permute", "all-to-all")
"""XLA's operations between devices."""

SIZES: Mapping[str, int] = MappingProxyType(
    {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "f16": 2, "bf16": 2}
    | {"s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8, "f64": 8}
)
"""Bytes of XLA's types."""

_OPERATION = re.compile(rf" = (.*?) ({'|'.join(COLLECTIVES)})(-start)?\(")
_ARRAY = re.compile(r"([a-z]+[0-9]*)\[([0-9,]*)\]")


def collective_bytes(program: str) -> dict[str, int]:
    """Return the bytes that each kind of collective leaves on a device, by kind.

    A collective within a loop counts once.

    Args:
      program: Text of a compiled program, from `Compiled.as_text()`.

    Raises:
      ValueError: A collective has a type of unknown size.
    """
    found: dict[str, int] = {}
    for line in program.splitlines():
        operation = _OPERATION.search(line)
        if operation is None:
            continue
        arrays = _ARRAY.findall(operation[1])
        # An operation that only starts names its operands first, then its results.
        arrays = arrays[len(arrays) // 2 :] if operation[3] else arrays
        size = 0
        for kind, shape in arrays:
            if kind not in SIZES:
                raise ValueError(f"{operation[2]} of type {kind}: its size is not known")
            size += SIZES[kind] * math.prod(int(n) for n in shape.split(",") if n)
        found[operation[2]] = found.get(operation[2], 0) + size
    return found
