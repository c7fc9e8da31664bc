"""PyTorch's state dicts, read without PyTorch and without unpickling, in both formats.

This module reads the two containers that `_save` and `_legacy_save` of torch/serialization.py
write. `torch_pickle` reads the pickles in them, and `torch_tensors` makes arrays of their storages.
"""

import functools
import io
import zipfile

import numpy as np

from qd_fool.errors import UserError
from qd_fool.models.readers.torch_pickle import (
    RefusedError,
    Storage,
    quote,
    storage_of_id,
    unpickle,
)
from qd_fool.models.readers.torch_tensors import (
    LARGEST_GROWTH,
    ReadStorage,
    arrays_of,
    itemsize,
    tensors_of,
)

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def looks_like_torch_checkpoint(data: bytes) -> bool:
    """Return whether content starts as a file of `torch.save` does. An `.npz` is a zip file, too.

    Any pickle counts, so that the reader's error can describe the pickle.
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
    """Return the tensors of a state dict, or of the dict under "state_dict" or "model", by name.

    Numbers and strings beside the tensors are left out. Arrays are C-contiguous, own their memory,
    and have the tensors' types, except that bfloat16 becomes float32.

    Args:
      data: Bytes of the file, in the zip format (PyTorch 1.6 and later) or the older one.
      source: Name of the file, for errors.

    Raises:
      UserError: The file is damaged or hostile, comes from a big-endian machine, or is not a state
        dict.
    """
    try:
        saved, read = (_open_zip if data[:2] == b"PK" else _open_legacy)(data)
        return arrays_of(tensors_of(saved), read, LARGEST_GROWTH * len(data))
    except RefusedError as error:
        raise UserError(f"weights {source}: {error}") from error


def _pickles(archive: zipfile.ZipFile) -> list[str]:
    """Return the members that hold the pickle of a `torch.save` file; a sound file has one."""
    return [n for n in archive.namelist() if n.endswith("/data.pkl") and n.count("/") == 1]


def _open_zip(data: bytes) -> tuple[object, ReadStorage]:
    """Return the value that `data.pkl` describes, and a function that reads a storage."""
    # Check the container: one pickle, no compression, and no members that overlap.
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except Exception as error:  # zipfile raises many types
        raise _damaged(error) from error
    members, pickles = archive.infolist(), _pickles(archive)
    if len(pickles) != 1 or len({m.filename for m in members}) != len(members):
        raise RefusedError("a damaged PyTorch file (a zip without one data.pkl, or names twice)")
    for member in members:
        plain = member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1
        if not plain or member.file_size != member.compress_size:
            raise RefusedError(
                f"the member {quote(member.filename)} is compressed or encrypted, which "
                "torch.save never does: not read"
            )
    if sum(member.file_size for member in members) > len(data):
        raise RefusedError("a damaged PyTorch file (the members overlap)")
    root = pickles[0].removesuffix("data.pkl")

    # Several tensors may share a storage: each is read once.
    member_bytes = functools.cache(lambda name: _member(archive, root + name))
    # The byte order. Files from before PyTorch 2.1 do not state one, and count as little-endian.
    if root + "byteorder" in archive.namelist():
        order = member_bytes("byteorder")
        if order != b"little":
            raise RefusedError(
                f"the byte order is {quote(order.decode('latin-1'))}, expected 'little': not read"
            )
    saved = unpickle(io.BytesIO(member_bytes("data.pkl")), lambda pid: storage_of_id(pid, 5))
    return saved, lambda storage: member_bytes(f"data/{storage.key}")


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return the content of a member of the zip file."""
    try:
        return archive.read(name)
    except Exception as error:  # zipfile raises many types
        raise _damaged(error) from error


def _open_legacy(data: bytes) -> tuple[object, ReadStorage]:
    """Return the value of an older file, and a function that reads a storage.

    The file is five pickles (magic, version, machine, object, storage keys), then the storages.
    """
    stream, view = io.BytesIO(data), memoryview(data)
    storages: dict[str, Storage] = {}
    # The five pickles.
    if unpickle(stream) != _MAGIC or unpickle(stream) != _PROTOCOL:
        raise RefusedError("a pickle, but not one that torch.save wrote: not read")
    machine = unpickle(stream)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise RefusedError("saved on a big-endian machine, expected a little-endian one: not read")
    saved = unpickle(stream, lambda pid: _noted(storages, storage_of_id(pid, 6)))
    keys = unpickle(stream)
    names = [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []
    if len(set(names)) != len(names) or set(names) != set(storages):
        raise RefusedError(
            "a damaged PyTorch file (the list of storages differs from those in use)"
        )
    # The storages, one after another to the end of the file: a count, then the numbers.
    numbers: dict[str, memoryview] = {}
    position = stream.tell()
    for name in names:
        numel = int.from_bytes(view[position : position + 8], "little", signed=True)
        start = position + 8
        position = start + storages[name].numel * itemsize(storages[name])
        if numel != storages[name].numel or position > len(data):
            raise RefusedError(
                f"a damaged PyTorch file (storage {quote(name)} is not whole in {len(data)} bytes)"
            )
        numbers[name] = view[start:position]
    if position != len(data):
        raise RefusedError(
            f"a damaged PyTorch file ({len(data) - position} bytes after the last storage)"
        )
    return saved, lambda storage: numbers[storage.key]


def _noted(storages: dict[str, Storage], storage: Storage) -> Storage:
    """Note a storage by its key, and return it. Two uses of one key must agree."""
    if storages.setdefault(storage.key, storage) != storage:
        raise ValueError
    return storage


def _damaged(error: Exception) -> RefusedError:
    """Return the refusal of a file that another reader could not read."""
    return RefusedError(f"a damaged PyTorch file ({str(error) or type(error).__name__})")
