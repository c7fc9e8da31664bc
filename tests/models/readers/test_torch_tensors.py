"""Files whose tensors lie about their size, or that are no state dict: each gives a UserError."""

import tracemalloc

import pytest
from torch_files import ask, fixture, of_both, op, parse, state, storage, tensor, zipped

from qd_fool.errors import UserError


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
