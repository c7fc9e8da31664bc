"""Genomes that don't fit into memory are refused before anything compiles."""

import pytest
from command import SMALL, evolve, refused

from qd_fool.commands.evolve import memory
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.memory import check_memory, free_memory
from qd_fool.commands.evolve.plan import plan
from qd_fool.devices.mesh import make_mesh
from qd_fool.errors import UserError

GENOMES = 10 * 28 * 28


@pytest.fixture
def exact(monkeypatch):
    """Counts the genomes of a small run alone."""
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setattr(memory, "BESIDE", 0)
    return plan(EvolveConfig(model="lenet", generations=1))


def needed(devices):
    return GENOMES * (devices + memory.HOST_COPIES)


def test_what_fits_is_not_mentioned(exact):
    check_memory(exact, make_mesh(2), free=needed(2))


@pytest.mark.parametrize(
    ("free", "advice"),
    [
        (needed(1), "expected --devices 1, which needs"),
        (needed(1) - 1, "expected --devices 1 and --encoding cppn, whose genomes are small"),
    ],
)
def test_the_sentence_names_what_needs_less(exact, free, advice):
    with pytest.raises(UserError) as error:
        check_memory(exact, make_mesh(2), free=free)
    assert "10 cells of the direct encoding, 784 bytes each, need about" in str(error.value)
    assert "with 2 CPU devices, and 0.0 GB are free" in str(error.value)
    assert advice in str(error.value)


def test_larger_pictures_than_the_networks_can_shrink(exact):
    large = plan(EvolveConfig(model="lenet", generations=1, image_size=56))
    with pytest.raises(UserError, match="expected --image-size 55 or less or --encoding cppn"):
        check_memory(large, make_mesh(1), free=4 * needed(1) - 1)


def test_the_system_says_how_much_is_free():
    free = free_memory()
    assert free is None or 2**20 < free < 2**50


def test_a_run_is_refused_with_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setattr(memory, "free_memory", lambda: 10**8)
    sentence = refused(capsys, "evolve", "--run-dir", tmp_path / "r", "--devices", 1)
    assert "need about 1.1 GB of memory with 1 CPU device, and 0.1 GB are free" in sentence
    assert not (tmp_path / "r").exists()
    monkeypatch.undo()
    assert evolve(tmp_path / "r", *SMALL, "--generations", 1) == 0
