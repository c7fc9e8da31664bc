"""What is filled in where a flag is not given, and what a plan is about."""

import dataclasses

import numpy as np
import pytest

from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.plan import fill_in, map_elites_config, plan
from qd_fool.models import ZOO
from qd_fool.models.load import make_scorer


@pytest.fixture(scope="module")
def lenet():
    flat = {k: np.zeros(s, np.float32) for k, s in ZOO["lenet"].shapes.items()}
    return make_scorer(ZOO["lenet"], flat, source="zeros")


@pytest.fixture(scope="module")
def squeezenet():
    flat = {k: np.zeros(s, np.float32) for k, s in ZOO["squeezenet1.1"].shapes.items()}
    return make_scorer(ZOO["squeezenet1.1"], flat, source="zeros")


def test_what_is_not_given_depends_on_network_encoding_and_machine(lenet, squeezenet):
    mnist = fill_in(EvolveConfig(encoding="cppn"), lenet, side=28, on_cpu=True)
    assert mnist == {
        "generations": 200, "batch_size": 200, "crops": 1, "chunk": 100, "minutes": None,
    }  # fmt: skip
    cpu = fill_in(EvolveConfig(encoding="cppn"), squeezenet, side=256, on_cpu=True)
    assert cpu == {
        "generations": 5000, "batch_size": 400, "crops": 1, "chunk": 2, "minutes": 4.5,
    }  # fmt: skip
    accelerator = fill_in(EvolveConfig(encoding="direct"), squeezenet, side=256, on_cpu=False)
    assert accelerator == {
        "generations": 5000, "batch_size": 200, "crops": 10, "chunk": 100, "minutes": None,
    }  # fmt: skip


def test_what_is_given_holds(squeezenet):
    given = {"generations": 7, "batch_size": 3, "crops": 1, "chunk": 9, "minutes": 2.0}
    filled = fill_in(EvolveConfig(**given), squeezenet, side=256, on_cpu=False)
    assert filled == given | {"chunk": 3}
    config = EvolveConfig(generations=7)
    assert fill_in(config, squeezenet, side=256, on_cpu=True)["minutes"] is None


def test_ten_crops_are_for_pictures_larger_than_the_input(squeezenet):
    assert fill_in(EvolveConfig(), squeezenet, side=224, on_cpu=False)["crops"] == 1


@pytest.mark.parametrize("name", list(ZOO))
def test_default_chunks_waste_nothing_of_the_originals_batches(name):
    entry = ZOO[name]
    for chunk, devices in ((entry.chunk, 2), (entry.accelerator_chunk, 1)):
        assert 200 % (chunk * devices) == 0


def test_a_plan_says_what_the_run_is_about():
    planned = plan(EvolveConfig(model="lenet-b", evaluations=900, batch_size=100, chunk=50))
    subject = planned.subject
    assert (subject.networks.model, subject.scorer.name) == ("lenet-b", "lenet-b")
    assert (subject.encoding.name, subject.crops, subject.chunk) == ("direct", 1, 50)
    assert planned.generations == 8
    assert planned.evaluations(8) == 900
    assert planned.record["weights_sha256"] == subject.hashes["weights_sha256"]
    # How far to evolve is written down as it was given: a resumed run may be given another end.
    assert (planned.record["evaluations"], planned.record["generations"]) == (900, None)
    assert map_elites_config(planned.config) == planned.map_elites
    with pytest.raises(ValueError, match=r"not filled in"):
        map_elites_config(dataclasses.replace(planned.config, chunk=None))
