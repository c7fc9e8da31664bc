"""Hostile pickles: none may run anything, take much memory, or raise anything but UserError."""

import copyreg
import os
import pickle
import tracemalloc

import pytest
from PIL import Image
from torch_files import (
    MACHINE,
    MAGIC,
    Evil,
    ask,
    legacy,
    of_both,
    op,
    parse,
    pickled,
    state,
    storage,
    tensor,
    zipped,
)

from qd_fool.cli import main
from qd_fool.errors import UserError
from qd_fool.models.readers.read import read_weights


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
        assert "evil.pth: the pickle asks for 'posix.system', which" in str(caught.value)


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
        assert f"F: the pickle asks for {named}" in str(caught.value)
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
    output = ("damaged PyTorch file (the pickle makes no sense", "uses the opcode POP_MARK")
    assert any(words in str(caught.value) for words in output)


def test_one_sentence_at_the_command(tmp_path, capsys):
    path, marker, picture = tmp_path / "evil.pth", tmp_path / "marker", tmp_path / "picture.png"
    path.write_bytes(zipped(pickle.dumps(Evil(os.system, f"touch {marker}"), 2)[2:-1]))
    Image.new("L", (28, 28)).save(picture)
    assert main(["score", str(picture), "--model", "lenet", "--weights", str(path)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert "evil.pth: the pickle asks for 'posix.system'" in line
    assert not marker.exists()


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
    with pytest.raises(UserError, match=r"the pickle is longer than 4194304 bytes: not read"):
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
