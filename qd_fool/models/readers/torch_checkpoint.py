"""PyTorch's state dicts with no PyTorch: both formats of `torch.save`, and no unpickling.

A pickle is a program. Here a small machine obeys the few opcodes that a state dict is made of: it
imports nothing, calls nothing but `_reduce`, sets no attribute, and holds only plain values,
`_Global`, `_Storage` and `_Tensor`. No opcode makes more than one thing, so memory stays in
proportion to the file; no value is hashed, compared or printed deeply, so nested ones cost nothing.
`torch.load(weights_only=True)` has a machine of the same kind.

The formats: `_save` and `_legacy_save` of torch/serialization.py.
"""

import dataclasses
import functools
import io
import math
import pickletools
import zipfile
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from qd_fool.errors import UserError

_T = TypeVar("_T")

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_LARGEST_PICKLE = 4 << 20  # bytes; those of ResNet-152 are 0.2 MB
_LARGEST_COUNT = 1 << 59  # of numbers: their bytes still fit 63 bits
_LARGEST_NDIM = 64  # NumPy's own
# Shared storages and strides of 0 make tensors larger than their file, but not by much.
_LARGEST_GROWTH = 8

# bfloat16 is no dtype of NumPy, and a byte of a bool may hold more than 0 and 1: as integers first.
_STORAGES = {
    "torch DoubleStorage": "<f8",
    "torch FloatStorage": "<f4",
    "torch HalfStorage": "<f2",
    "torch BFloat16Storage": "<u2",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
    "torch ShortStorage": "<i2",
    "torch CharStorage": "<i1",
    "torch ByteStorage": "<u1",
    "torch BoolStorage": "<u1",
}
_DTYPES = {
    f"torch {name}"
    for name in (
        *("float64", "float32", "float16", "bfloat16"),
        *("int64", "int32", "int16", "int8", "uint8", "bool"),
    )
}
_FUNCTIONS = {
    "collections OrderedDict",
    "torch Size",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
}
_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}


class _RefusedError(Exception):
    """Why a file is not read, in words that follow its name."""


@dataclasses.dataclass(frozen=True)
class _Global:
    """A function or class, by name only."""

    name: str


@dataclasses.dataclass(frozen=True)
class _Storage:
    """Numbers that lie elsewhere in the file."""

    key: str
    kind: str
    numel: int


_Read = Callable[[_Storage], bytes | memoryview]


@dataclasses.dataclass(frozen=True, eq=False)
class _Tensor:
    """A view of a storage; what the file says of it is checked when it is read."""

    storage: _Storage
    offset: object
    size: object
    stride: object


def looks_like_torch_checkpoint(data: bytes) -> bool:
    """Whether content starts as `torch.save` does; an `.npz` is a zip file too, but not such a one.

    Any pickle counts, so that the reader can say what it found in it.
    """
    if data[:1] == b"\x80":
        return data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    if data[:2] != b"PK":
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return bool(_pickles(archive))
    except Exception:  # zipfile raises many types; one cut short still begins with its first member
        return data[30 : 30 + int.from_bytes(data[26:28], "little")].endswith(b"/data.pkl")


def parse_torch_checkpoint(data: bytes, *, source: str) -> dict[str, np.ndarray]:
    """Tensors of a state dict, or of the one under "state_dict" or "model", by their own names.

    Numbers and strings beside the tensors are left out. Arrays are C-contiguous, own their memory,
    and have the tensors' types, but for bfloat16, which comes as float32.

    Args:
      data: the file's bytes, of the zip format (PyTorch 1.6 and on) or the older one.
      source: the file's name, for errors.

    Raises:
      UserError: damaged, hostile, of a big-endian machine, or not a state dict.
    """
    try:
        saved, read = (_open_zip if data[:2] == b"PK" else _open_legacy)(data)
        return _arrays(_tensors(saved), read, _LARGEST_GROWTH * len(data))
    except _RefusedError as error:
        raise UserError(f"weights {source}: {error}") from error


# Containers -------------------------------------------------------------------------------------


def _pickles(archive: zipfile.ZipFile) -> list[str]:
    return [n for n in archive.namelist() if n.endswith("/data.pkl") and n.count("/") == 1]


def _open_zip(data: bytes) -> tuple[object, _Read]:
    """What `data.pkl` describes, and how to read a storage."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except Exception as error:  # zipfile raises many types
        raise _damaged(error) from error
    members, pickles = archive.infolist(), _pickles(archive)
    if len(pickles) != 1 or len({m.filename for m in members}) != len(members):
        raise _RefusedError("a damaged PyTorch file (a zip without one data.pkl, or names twice)")
    for member in members:
        plain = member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1
        if not plain or member.file_size != member.compress_size:
            raise _RefusedError(
                f"its member {_quote(member.filename)} is compressed or encrypted, which "
                "torch.save never does: not read"
            )
    if sum(member.file_size for member in members) > len(data):
        raise _RefusedError("a damaged PyTorch file (its members overlap)")
    root = pickles[0].removesuffix("data.pkl")

    member_bytes = functools.cache(
        lambda name: _member(archive, root + name)
    )  # storages are shared
    # Before PyTorch 2.1 there was no such member, and no big-endian machine to speak of.
    if root + "byteorder" in archive.namelist():
        order = member_bytes("byteorder")
        if order != b"little":
            raise _RefusedError(
                f"its byte order is {_quote(order.decode('latin-1'))}, expected 'little': not read"
            )
    saved = _unpickle(io.BytesIO(member_bytes("data.pkl")), lambda pid: _storage(pid, 5))
    return saved, lambda storage: member_bytes(f"data/{storage.key}")


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except Exception as error:  # zipfile raises many types
        raise _damaged(error) from error


def _open_legacy(data: bytes) -> tuple[object, _Read]:
    """Five pickles (magic, version, machine, object, storage keys), then the storages."""
    stream, view = io.BytesIO(data), memoryview(data)
    storages: dict[str, _Storage] = {}
    if _unpickle(stream) != _MAGIC or _unpickle(stream) != _PROTOCOL:
        raise _RefusedError("a pickle, but not one that torch.save wrote: not read")
    machine = _unpickle(stream)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise _RefusedError("saved on a big-endian machine, expected a little-endian one: not read")
    saved = _unpickle(stream, lambda pid: _noted(storages, _storage(pid, 6)))
    keys = _unpickle(stream)
    names = [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []
    if len(set(names)) != len(names) or set(names) != set(storages):
        raise _RefusedError("a damaged PyTorch file (its list of storages is not that of its use)")
    numbers: dict[str, memoryview] = {}
    position = stream.tell()
    for name in names:
        numel = int.from_bytes(view[position : position + 8], "little", signed=True)
        start = position + 8
        position = start + storages[name].numel * _itemsize(storages[name])
        if numel != storages[name].numel or position > len(data):
            raise _RefusedError(
                f"a damaged PyTorch file (storage {_quote(name)} is not whole in {len(data)} bytes)"
            )
        numbers[name] = view[start:position]
    if position != len(data):
        raise _RefusedError(
            f"a damaged PyTorch file ({len(data) - position} bytes after its last storage)"
        )
    return saved, lambda storage: numbers[storage.key]


def _noted(storages: dict[str, _Storage], storage: _Storage) -> _Storage:
    if storages.setdefault(storage.key, storage) != storage:
        raise ValueError
    return storage


def _damaged(error: Exception) -> _RefusedError:
    return _RefusedError(f"a damaged PyTorch file ({str(error) or type(error).__name__})")


def _quote(value: str | int) -> str:
    """For a sentence: of one line, of characters that any terminal takes, and not long."""
    text = ascii(value)
    return text if len(text) <= 80 else text[:80] + "..."


# The pickle machine -----------------------------------------------------------------------------


def _no_storage(pid: object) -> _Storage:
    raise ValueError


def _unpickle(stream: io.BytesIO, persistent: Callable[[object], object] = _no_storage) -> object:
    """One pickle from where the stream stands, which then stands behind it."""
    try:
        return _run(stream, persistent)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise _RefusedError(
            f"a damaged PyTorch file (its pickle makes no sense up to byte {stream.tell()})"
        ) from error


def _run(stream: io.BytesIO, persistent: Callable[[object], object]) -> object:
    end = stream.tell() + _LARGEST_PICKLE
    stack: list = []
    marks: list[list] = []  # what lies below each mark, so that nothing can be taken across one
    memo: dict[object, object] = {}
    while stream.tell() < end:
        opcode = _OPCODES[stream.read(1)]
        match opcode.name:
            case "PROTO" | "FRAME":
                _argument(opcode, stream)
            case "STOP":
                return stack.pop()
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode.name == "NEWTRUE")
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT":
                stack.append(_argument(opcode, stream))
            case "BINUNICODE" | "SHORT_BINUNICODE":
                stack.append(_argument(opcode, stream))
            case "BINSTRING" | "SHORT_BINSTRING":  # of Python 2; pickletools takes it for Latin-1
                stack.append(_argument(opcode, stream).encode("latin-1").decode())
            case "MARK":
                marks.append(stack)
                stack = []
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                items = [stack.pop() for _ in range(int(opcode.name[-1]))]
                stack.append(tuple(reversed(items)))
            case "TUPLE":
                items, stack = stack, marks.pop()
                stack.append(tuple(items))
            case "APPEND":
                item = stack.pop()
                _is(list, stack[-1]).append(item)
            case "APPENDS":
                items, stack = stack, marks.pop()
                _is(list, stack[-1]).extend(items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _is(dict, stack[-1])[_key(key)] = value
            case "SETITEMS":
                items, stack = stack, marks.pop()
                pairs = zip(items[::2], items[1::2], strict=True)
                _is(dict, stack[-1]).update((_key(key), value) for key, value in pairs)
            case "BINPUT" | "LONG_BINPUT":
                memo[_argument(opcode, stream)] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[_argument(opcode, stream)])
            case "GLOBAL":
                stack.append(_global(f"{_line(stream)} {_line(stream)}"))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(_global(f"{_is(str, module)} {_is(str, name)}"))
            case "INST":
                raise _unwanted(f"{_line(stream)} {_line(stream)}")
            case "BINPERSID":
                stack.append(persistent(stack.pop()))
            case "REDUCE":
                args = stack.pop()
                stack.append(_reduce(_is(_Global, stack.pop()).name, _is(tuple, args)))
            case "BUILD":  # the attributes of an OrderedDict: `_metadata`, which nothing here needs
                stack.pop()
                _is(dict, stack[-1])
            case _:
                raise _RefusedError(
                    f"its pickle uses the opcode {opcode.name}, which a state dict never needs: "
                    "not read"
                )
    raise _RefusedError(f"its pickle is longer than {_LARGEST_PICKLE} bytes: not read")


def _argument(opcode: pickletools.OpcodeInfo, stream: io.BytesIO) -> Any:
    """An opcode's argument, read by pickletools; only asked of opcodes that a state dict needs."""
    if opcode.arg is None:
        raise TypeError
    return opcode.arg.reader(stream)


def _line(stream: io.BytesIO) -> str:
    """Half of a global's name (pickletools would unescape it, which unpickling does not)."""
    line = stream.readline()
    if line[-1:] != b"\n":
        raise ValueError
    return line[:-1].decode()


def _is(kind: type[_T], value: object) -> _T:
    if type(value) is not kind:
        raise TypeError
    return cast(_T, value)


def _key(key: object) -> object:
    """Only keys whose hash is cheap."""
    if type(key) is not str and type(key) is not int:
        raise TypeError
    return key


def _unwanted(name: str) -> _RefusedError:
    return _RefusedError(
        f"its pickle asks for {_quote(name.replace(' ', '.', 1))}, which a state dict never needs: "
        "not read (expected what torch.save(model.state_dict()) writes, not a whole model)"
    )


def _global(name: str) -> _Global:
    if not (name in _STORAGES or name in _FUNCTIONS or name in _DTYPES):
        raise _unwanted(name)
    return _Global(name)


def _reduce(function: str, args: tuple) -> object:
    """What the functions of a state dict make of their arguments."""
    match function, args:
        case "collections OrderedDict", ():
            return {}
        case "collections OrderedDict", (list() as pairs,):  # of Python 2
            made = {_key(key): value for key, value in pairs}
            pairs.clear()  # else a short pickle could have a long list copied again and again
            return made
        case "torch Size", (tuple() as size,):
            return size
        case "torch._utils _rebuild_parameter", (_Tensor() as tensor, _, _):
            return tensor
        case "torch._utils _rebuild_tensor", (_Storage() as storage, offset, size, stride):
            return _Tensor(storage, offset, size, stride)
        case (
            "torch._utils _rebuild_tensor_v2",
            (_Storage() as storage, offset, size, stride, _, _, *metadata),
        ) if metadata in ([], [None], [{}]):  # else a view that is conjugate or negative
            return _Tensor(storage, offset, size, stride)
    raise TypeError


def _storage(pid: object, length: int) -> _Storage:
    """Of the persistent id `('storage', type, key, location, numel)`; the older format adds None.

    (It once added where in another storage this one lies; PyTorch has not written that for years.)
    """
    parts = _is(tuple, pid)
    if len(parts) != length or parts[0] != "storage" or parts[5:] not in ((), (None,)):
        raise ValueError
    kind, key, numel = _is(_Global, parts[1]).name, _is(str, parts[2]), _is(int, parts[4])
    if kind not in _STORAGES or not 0 <= numel < _LARGEST_COUNT:
        raise ValueError
    return _Storage(key, kind, numel)


# Tensors ----------------------------------------------------------------------------------------


def _tensors(saved: object) -> dict[str, _Tensor]:
    if not isinstance(saved, dict):
        raise _RefusedError(f"expected a state dict, found a {_kind(saved)}")
    inner = next(
        (saved[k] for k in ("state_dict", "model") if isinstance(saved.get(k), dict)), saved
    )
    tensors: dict[str, _Tensor] = {}
    for name, value in inner.items():
        if isinstance(value, _Tensor):
            if not isinstance(name, str) or not name.isprintable():
                raise _RefusedError(f"a tensor's name is {_quote(name)}, expected printable text")
            tensors[name] = value
        elif value is not None and not isinstance(value, (bool, int, float, str)):
            raise _RefusedError(
                f"expected a state dict, found one whose {_quote(name)} is a {_kind(value)}, "
                "not a tensor"
            )
    if not tensors:
        raise _RefusedError(f"expected a state dict, found {len(inner)} entries and no tensor")
    return tensors


def _kind(value: object) -> str:
    return type(value).__name__.removeprefix("_").lower().removesuffix("type")


def _itemsize(storage: _Storage) -> int:
    return np.dtype(_STORAGES[storage.kind]).itemsize


def _arrays(tensors: dict[str, _Tensor], read: _Read, room: int) -> dict[str, np.ndarray]:
    """Arrays of no more than `room` bytes in all."""
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        offset, size, strides = _extent(tensor, _quote(name))
        widened = 2 if tensor.storage.kind == "torch BFloat16Storage" else 1
        room -= math.prod(size) * _itemsize(tensor.storage) * widened
        if room < 0:
            raise _RefusedError(
                f"its tensors take more than {_LARGEST_GROWTH} times the bytes of the file, from "
                f"{_quote(name)} on: not read"
            )
        stored = read(tensor.storage)
        if len(stored) != tensor.storage.numel * _itemsize(tensor.storage):
            raise _RefusedError(
                f"a damaged PyTorch file (tensor {_quote(name)} is of a storage of "
                f"{tensor.storage.numel} numbers, found {len(stored)} bytes)"
            )
        arrays[name] = _array(tensor.storage.kind, stored, offset, size, strides)
    return arrays


def _extent(tensor: _Tensor, name: str) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Offset, size and strides, in numbers; all of it lies within the storage."""
    size, strides = tensor.size, tensor.stride
    if not isinstance(size, tuple) or not isinstance(strides, tuple) or len(size) != len(strides):
        raise _RefusedError(f"a damaged PyTorch file (tensor {name} has no size and strides)")
    numbers = [n for n in (tensor.offset, *size, *strides) if type(n) is int]
    sane = len(numbers) == 1 + 2 * len(size) and len(size) <= _LARGEST_NDIM
    sane = sane and all(0 <= n < _LARGEST_COUNT for n in numbers)
    # NumPy multiplies the other axes even where one is 0.
    if not sane or math.prod(n or 1 for n in size) >= _LARGEST_COUNT:
        raise _RefusedError(f"a damaged PyTorch file (tensor {name} has an impossible size)")
    offset = numbers[0]
    if 0 in size:
        return 0, size, (0,) * len(size)
    last = offset + sum((n - 1) * stride for n, stride in zip(size, strides, strict=True))
    if last >= tensor.storage.numel:
        raise _RefusedError(
            f"a damaged PyTorch file (tensor {name} reaches number {last} of a storage of "
            f"{tensor.storage.numel})"
        )
    return offset, size, strides


def _array(
    kind: str,
    stored: bytes | memoryview,
    offset: int,
    size: tuple[int, ...],
    strides: tuple[int, ...],
) -> np.ndarray:
    dtype = np.dtype(_STORAGES[kind])
    if 0 in size:
        values = np.zeros(size, dtype)
    else:  # NumPy checks the extent again
        byte_strides = [dtype.itemsize * stride for stride in strides]
        view = np.ndarray(size, dtype, stored, dtype.itemsize * offset, byte_strides)
        values = np.array(view, dtype.newbyteorder("="), order="C")
    if kind == "torch BoolStorage":
        return values != 0
    if kind == "torch BFloat16Storage":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values
