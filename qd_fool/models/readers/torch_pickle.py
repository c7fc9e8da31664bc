"""A pickle machine for PyTorch's state dicts that runs no code of the file.

A pickle is a program. This machine executes the few opcodes that state dicts need. It imports
nothing, calls nothing but `_reduce`, sets no attribute, and holds only plain values, `Global`,
`Passed`, `Storage` and `Tensor`. No opcode makes more than one value, so memory stays in proportion
to the file. No value is hashed, compared or printed deeply, so nested values cost nothing.
`torch.load(weights_only=True)` has a machine of the same kind.
"""

import dataclasses
import io
import pickletools
from collections.abc import Callable
from typing import Any, TypeVar, cast

_T = TypeVar("_T")

LARGEST_COUNT = 1 << 59
"""Most numbers in a storage or a tensor: the number of bytes still fits into 63 bits."""

_LARGEST_PICKLE = 4 << 20  # bytes; the pickle of ResNet-152 has 0.2 MB

# Two types are read as integers first: bfloat16 is no dtype of NumPy, and a byte of a bool may hold
# more than 0 and 1.
STORAGE_TYPES = {
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
"""NumPy's type of the numbers in a storage, by the storage's class."""

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
_HARMLESS = {
    *("numpy.core.multiarray scalar", "numpy._core.multiarray scalar", "numpy dtype"),
    *("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct", "numpy ndarray"),
    *("_codecs encode", "argparse Namespace", "torch device", "collections defaultdict"),
    *("pathlib PosixPath", "pathlib PurePosixPath", "pathlib WindowsPath"),
    *("builtins set", "__builtin__ set", "builtins dict", "__builtin__ dict"),
    *("builtins complex", "__builtin__ complex"),
}
"""What training scripts save beside a state dict. It is passed over, never imported or made."""

_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}


class RefusedError(Exception):
    """The reason why a file is not read, as text that follows the file's name."""


@dataclasses.dataclass(frozen=True)
class Global:
    """The name of a function or class, which is never imported.

    Attributes:
      name: Module and name, with a space between them.
    """

    name: str


@dataclasses.dataclass(frozen=True)
class Storage:
    """Numbers that lie elsewhere in the file.

    Attributes:
      key: Name of the storage in the file.
      kind: Class of the storage, one of `STORAGE_TYPES`.
      numel: Number of numbers in the storage.
    """

    key: str
    kind: str
    numel: int


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """A view of a storage. Offset, size and stride are checked when the numbers are read.

    Attributes:
      storage: Storage with the numbers.
      offset: Index of the first number.
      size: Length of each axis.
      stride: Distance between neighbours along each axis.
    """

    storage: Storage
    offset: object
    size: object
    stride: object


@dataclasses.dataclass(frozen=True, eq=False)
class Passed:
    """A value beside the tensors, such as a NumPy scalar, that was passed over.

    Attributes:
      name: Module and name of the function or class, with a space between them.
    """

    name: str


def quote(value: str | int) -> str:
    """Return a value for an error's sentence: one short line of ASCII characters."""
    text = ascii(value)
    return text if len(text) <= 80 else text[:80] + "..."


def refuse_storage(pid: object) -> Storage:
    """Refuse a persistent id, where a pickle may have none.

    Raises:
      ValueError: Always.
    """
    raise ValueError


def unpickle(stream: io.BytesIO, persistent: Callable[[object], object] = refuse_storage) -> object:
    """Return the value of the pickle at the stream's position, and move the stream behind it.

    Args:
      stream: Stream that holds the pickle.
      persistent: Function from a persistent id to the value that it stands for.

    Raises:
      RefusedError: The pickle is damaged, or asks for something that a state dict never needs.
    """
    try:
        return _run(stream, persistent)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise RefusedError(
            f"a damaged PyTorch file (the pickle makes no sense up to byte {stream.tell()})"
        ) from error


def _run(stream: io.BytesIO, persistent: Callable[[object], object]) -> object:
    """Execute one opcode after another until the pickle ends, and return the top of the stack."""
    end = stream.tell() + _LARGEST_PICKLE
    stack: list = []
    marks: list[list] = []  # the stack below each mark, where no opcode above the mark can reach
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
            case "BINSTRING" | "SHORT_BINSTRING":  # from Python 2; pickletools decodes as Latin-1
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
                stack.append(_reduce(_is(Global, stack.pop()).name, _is(tuple, args)))
            case "NEWOBJ":
                _is(tuple, stack.pop())
                stack.append(_passed(_is(Global, stack.pop()).name))
            case "BUILD":  # sets attributes: the `_metadata` of an OrderedDict, not needed here
                stack.pop()
                if type(stack[-1]) is not Passed:
                    _is(dict, stack[-1])
            case _:
                raise RefusedError(
                    f"the pickle uses the opcode {opcode.name}, which a state dict never needs: "
                    "not read"
                )
    raise RefusedError(f"the pickle is longer than {_LARGEST_PICKLE} bytes: not read")


def _argument(opcode: pickletools.OpcodeInfo, stream: io.BytesIO) -> Any:
    """Return an opcode's argument, read by pickletools."""
    if opcode.arg is None:
        raise TypeError
    return opcode.arg.reader(stream)


def _line(stream: io.BytesIO) -> str:
    """Read a module or a name up to the end of the line. Pickletools would unescape it wrongly."""
    line = stream.readline()
    if line[-1:] != b"\n":
        raise ValueError
    return line[:-1].decode()


def _is(kind: type[_T], value: object) -> _T:
    """Return the value, if it has exactly this type."""
    if type(value) is not kind:
        raise TypeError
    return cast(_T, value)


def _key(key: object) -> object:
    """Return a key of a dict, if it is text or an integer, whose hash is cheap."""
    if type(key) is not str and type(key) is not int:
        raise TypeError
    return key


def _unwanted(name: str) -> RefusedError:
    """Return the refusal of a function or class, by module and name."""
    return RefusedError(
        f"the pickle asks for {quote(name.replace(' ', '.', 1))}, which a state dict never needs: "
        "not read (expected what torch.save(model.state_dict()) writes, not a whole model)"
    )


def _global(name: str) -> Global:
    """Return the name of a function or class that a state dict needs; refuse all others."""
    if not (name in STORAGE_TYPES or name in _FUNCTIONS or name in _DTYPES or name in _HARMLESS):
        raise _unwanted(name)
    return Global(name)


def _passed(name: str) -> Passed:
    """Return a stand-in for a value of a harmless class."""
    if name not in _HARMLESS:
        raise _unwanted(name)
    return Passed(name)


def _reduce(function: str, args: tuple) -> object:
    """Return what a call of one of the functions that state dicts need would return."""
    match function, args:
        case "collections OrderedDict", ():
            return {}
        case "collections OrderedDict", (list() as pairs,):  # from Python 2
            made = {_key(key): value for key, value in pairs}
            pairs.clear()  # otherwise a short pickle could copy a long list again and again
            return made
        case "torch Size", (tuple() as size,):
            return size
        case "torch._utils _rebuild_parameter", (Tensor() as tensor, _, _):
            return tensor
        case "torch._utils _rebuild_tensor", (Storage() as storage, offset, size, stride):
            return Tensor(storage, offset, size, stride)
        case (
            "torch._utils _rebuild_tensor_v2",
            (Storage() as storage, offset, size, stride, _, _, *metadata),
        ) if metadata in ([], [None], [{}]):  # other metadata means a conjugate or negative view
            return Tensor(storage, offset, size, stride)
    if function in _HARMLESS:
        return Passed(function)
    raise TypeError


def storage_of_id(pid: object, length: int) -> Storage:
    """Return the storage of a persistent id `('storage', type, key, location, numel)`.

    The older format adds None. (Very old versions of PyTorch added a place in another storage; such
    files are refused.)

    Args:
      pid: Persistent id, from the pickle.
      length: Number of parts of the id: 5, or 6 in the older format.

    Raises:
      TypeError: A part is of another type.
      ValueError: The id is no such tuple.
    """
    parts = _is(tuple, pid)
    if len(parts) != length or parts[0] != "storage" or parts[5:] not in ((), (None,)):
        raise ValueError
    kind, key, numel = _is(Global, parts[1]).name, _is(str, parts[2]), _is(int, parts[4])
    if kind not in STORAGE_TYPES or not 0 <= numel < LARGEST_COUNT:
        raise ValueError
    return Storage(key, kind, numel)
