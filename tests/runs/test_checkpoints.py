"""A damaged checkpoint is noticed, told, and the one before taken."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from qd_fool.runs.checkpoints import digest, open_checkpoints, restore_newest, save_checkpoint

TEMPLATE = {"a": np.zeros(50_000, np.float32), "n": np.array(0, np.int32)}


def state(step):
    return {"a": np.random.default_rng(step).random(50_000, np.float32), "n": np.array(step, "i4")}


def saved(tmp_path, steps=3) -> Path:
    with open_checkpoints(tmp_path / "c") as manager:
        for step in range(steps):
            save_checkpoint(manager, state(step), step=step, meta={"seconds": step / 2})
    return tmp_path / "c"


def restore(folder):
    with open_checkpoints(folder) as manager:
        return restore_newest(manager, TEMPLATE)


def test_the_newest_comes_back_bit_for_bit_and_two_are_kept(tmp_path):
    folder = saved(tmp_path)
    assert sorted(p.name for p in folder.iterdir()) == ["generation_1", "generation_2"]
    restored = restore(folder)
    found, meta, problems = restored.state, restored.meta, restored.problems
    assert (digest(found), meta["seconds"], problems) == (digest(state(2)), 1.0, [])


def biggest(folder):
    return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def test_no_checkpoints(tmp_path):
    assert restore(tmp_path / "new") is None


@pytest.mark.parametrize("damage", ["cut", "empty", "flip", "meta", "remove"])
def test_a_damaged_checkpoint_falls_back(tmp_path, damage):
    folder = saved(tmp_path)
    newest = folder / "generation_2"
    path = newest / "meta" / "metadata" if damage == "meta" else biggest(newest / "state")
    data = path.read_bytes()
    middle = len(data) // 2
    if damage == "remove":
        path.unlink()
    else:
        flipped = data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]
        content = {"cut": data[:middle], "empty": b"", "flip": flipped, "meta": data[:5]}
        path.write_bytes(content[damage])
    restored = restore(folder)
    found, problems = restored.state, restored.problems
    assert digest(found) == digest(state(1))
    assert len(problems) == 1
    assert problems[0].startswith("checkpoint of generation 2 is damaged")


def test_every_one_damaged(tmp_path):
    folder = saved(tmp_path)
    for step in (1, 2):
        biggest(folder / f"generation_{step}" / "state").write_bytes(b"")
    assert restore(folder) is None


def test_digest_sees_types_shapes_and_bits():
    a = np.arange(4, dtype=np.int32)
    different = [a.astype(np.int64), a.reshape(2, 2), a + 1, a.view(np.uint32)]
    assert len({digest([x]) for x in [a, *different]}) == 5
    assert digest([a]) == digest([a.copy()])


def test_only_late_errors_of_checkpoints_are_hushed(tmp_path, monkeypatch):
    others: list = []
    monkeypatch.setattr("sys.unraisablehook", others.append)
    with open_checkpoints(tmp_path / "c"), open_checkpoints(tmp_path / "d"):
        pass

    def lost(error, place=None):
        sys.unraisablehook(SimpleNamespace(exc_value=error, object=place))

    lost(RuntimeError("Event loop is closed"))
    assert not others
    lost(RuntimeError("Event loop is closed"), place=print)
    lost(RuntimeError("another"))
    lost(KeyError("Event loop is closed"))
    assert len(others) == 3
