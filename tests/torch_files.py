"""PyTorch's files by hand: opcodes as bytes, so that what `pickle` would not write can be written.

The fixtures are made by make_oracle.py.
"""

import io
import pickle
import zipfile

import numpy as np
from paths import FIXTURES

from qd_fool.models.readers.torch_checkpoint import parse_torch_checkpoint

CHECKPOINTS = ["zip", "legacy", "zip_nested", "legacy_nested"]
MAGIC = 0x1950A86A20F9469CFC6C
MACHINE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}


def fixture(name):
    return (FIXTURES / f"torch_{name}.pth").read_bytes()


def parse(data):
    return parse_torch_checkpoint(data, source="F")


def op(value):
    """The opcodes of a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def ask(name):
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def storage(key="0", numel=6, *, kind="FloatStorage", legacy=False):
    items = op("storage") + ask(f"torch.{kind}") + op(key) + op("cpu") + op(numel)
    return b"(" + items + (b"N" if legacy else b"") + b"tQ"


def tensor(stored, *, offset=0, size=(2, 3), stride=(3, 1), more=b"\x89N"):
    args = stored + op(offset) + op(size) + op(stride) + more
    return ask("torch._utils._rebuild_tensor_v2") + b"(" + args + b"tR"


def state(**values):
    """A dict of names to opcodes."""
    return b"}(" + b"".join(op(name) + value for name, value in values.items()) + b"u"


def pickled(body):
    return b"\x80\x02" + body + b"."


NUMBERS = np.arange(6, dtype="<f4")


def zipped(body, members=None, *, order=b"little", compression=zipfile.ZIP_STORED):
    members = {"data/0": NUMBERS.tobytes()} if members is None else members
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("x/data.pkl", pickled(body))
        if order is not None:
            archive.writestr("x/byteorder", order)
        for name, content in members.items():
            archive.writestr(f"x/{name}", content)
    return file.getvalue()


def legacy(body, keys=("0",), stored=None, *, machine=MACHINE, numel=6):
    stored = NUMBERS.tobytes() if stored is None else stored
    head = b"".join(pickled(op(value)) for value in (MAGIC, 1001, machine))
    storages = b"".join(numel.to_bytes(8, "little", signed=True) + stored for _ in keys)
    return head + pickled(body) + pickled(op(list(keys))) + storages


def of_both(body, legacy_body=None):
    return [zipped(body), legacy(body if legacy_body is None else legacy_body)]


class Evil:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call
