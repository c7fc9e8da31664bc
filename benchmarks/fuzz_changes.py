"""Random changes of files: bytes, values in JSON, arrays in npz, members of zip."""

import io
import json
import random
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), "",
    "x", "../../x", "\x00", "\ud800", "1", [], [[]], {}, {"a": 1}, [1, "a"], [[[1]]],
)  # fmt: skip
"""Values that stand where others are expected."""

SHAPES = ((), (0,), (1,), (3, 0), (2, 2, 2), (1, 1, 1, 1))
TYPES = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u1", "?", "U3", "S2", "c8", "M8[s]")


def change(data: bytes, others: Sequence[bytes], kind: str, moments: random.Random) -> bytes:
    """Return a changed file.

    Args:
      data: The file.
      others: Files to take parts from.
      kind: "json", "npz", "zip" or "bytes": what is changed half the time; else it is bytes.
      moments: Source of randomness.
    """
    if kind != "bytes" and moments.random() < 0.6:
        try:
            changed = {"json": _json, "npz": _npz, "zip": _zip}[kind](data, moments)
        except Exception:  # the file is so broken already that only its bytes can be changed
            changed = None
        if changed is not None:
            return changed
    for _ in range(moments.choice((1, 1, 2, 4, 16))):
        data = _bytes(data, others, moments)
    return data


def _bytes(data: bytes, others: Sequence[bytes], moments: random.Random) -> bytes:
    a, b = sorted(moments.randrange(len(data) + 1) for _ in range(2))
    b = min(b, a + moments.choice((1, 2, 4, 16, 256)))
    match moments.randrange(8):
        case 0 if data:
            place = moments.randrange(len(data))
            flipped = bytes([data[place] ^ (1 << moments.randrange(8))])
            return data[:place] + flipped + data[place + 1 :]
        case 1:
            return data[:a] + data[b:]
        case 2:
            return data[:b] + data[a:b] * moments.choice((1, 2, 50)) + data[b:]
        case 3:
            number = moments.choice((0, 1, 127, 128, 255, 2**16 - 1, 2**31 - 1, 2**32 - 1, 2**63))
            width, order = moments.choice((1, 2, 4, 8)), moments.choice(("little", "big"))
            return data[:a] + (number % 256**width).to_bytes(width, order) + data[a + width :]
        case 4:
            other = moments.choice(others)
            start = moments.randrange(len(other) + 1)
            return data[:a] + other[start : start + moments.choice((1, 8, 64, 1024))] + data[b:]
        case 5:
            return data[:a]
        case 6:
            return data[:a] + moments.randbytes(moments.choice((1, 2, 8))) + data[b:]
        case _:
            word = moments.choice((b"-1", b"1e999", b"nan", b",,", b"\n", b'"', b"\xff\xfe", b"{["))
            return data[:a] + word + data[b:]


def _json(data: bytes, moments: random.Random) -> bytes:
    value = json.loads(data)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, below in list(items):
            places.append((node, key))
            if isinstance(below, dict | list):
                walk(below)

    walk(value)
    for _ in range(moments.choice((1, 1, 2, 5))):
        node, key = moments.choice(places)
        match moments.randrange(4):
            case 0 if isinstance(node, dict):
                node.pop(key, None)
            case 1:
                other, name = moments.choice(places)
                if isinstance(other, list) and name >= len(other):
                    continue
                node[key] = json.loads(json.dumps(other[name] if name in other or
                                                  isinstance(other, list) else None))  # fmt: skip
            case _:
                node[key] = moments.choice(ODD)
    return json.dumps(value).encode()


def _npz(data: bytes, moments: random.Random) -> bytes:
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    name = moments.choice(list(arrays))
    array = arrays[name]
    match moments.randrange(6):
        case 0:
            del arrays[name]
        case 1:
            arrays[name] = np.zeros(moments.choice(SHAPES), array.dtype)
        case 2:
            with np.errstate(all="ignore"):
                arrays[name] = array.astype(moments.choice(TYPES))
        case 3:
            arrays[moments.choice(("archive.id", "generation", "x/../y"))] = array
        case 4 if array.size and array.dtype.kind in "iuf":
            changed = array.copy()
            odd = (-1, 0, 1, 127, 32767, 2**31 - 1, -(2**31), float("nan"), float("inf"))
            with np.errstate(all="ignore"):
                changed.flat[moments.randrange(array.size)] = np.array(moments.choice(odd)).astype(
                    array.dtype
                )
            arrays[name] = changed
        case _:
            arrays[name] = array[: moments.randrange(len(array) + 1)] if array.ndim else array
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def _zip(data: bytes, moments: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = moments.choice([*members, *[n for n in members if n.endswith(".pkl")] * 5])
    members[name] = _bytes(members[name], list(members.values()), moments)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return out.getvalue()
