"""A network small enough for runs of the command, shared by the tests of several experiments."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from programs import shared

from qd_fool.ascent.segments import make_ascent
from qd_fool.map_elites.segments import make_segment
from qd_fool.models import ZOO
from qd_fool.scoring.score import score_function

SHARED = {
    "qd_fool.commands.evolve.segment.make_segment": shared(make_segment),
    "qd_fool.commands.ascend.team.make_ascent": shared(make_ascent),
    "qd_fool.commands.common.subject.score_function": shared(score_function),
}
"""Functions of the commands that make programs."""


@pytest.fixture(autouse=True, scope="module")
def shared_programs():
    """Commands with the same settings run the same program."""
    with pytest.MonkeyPatch.context() as patch:
        for name, function in SHARED.items():
            patch.setattr(name, function)
        yield


@pytest.fixture(scope="module")
def tiny_network(tmp_path_factory):
    """Flags of a small linear network of ten classes, in colour, registered for these tests.

    Ten, since each of ImageNet's thousand would have a picture written, read, and put on a page.
    """
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.npz"
    np.savez(path, weight=rng.normal(0, 0.02, (32 * 32 * 3, 10)).astype(np.float32))

    def params_from_flat(flat, *, source, mean):
        return {"weight": jnp.asarray(flat["weight"]), "mean": jnp.asarray(mean)}

    def apply(params, x):
        x = x - jnp.expand_dims(params["mean"], tuple(range(4 - params["mean"].ndim)))
        return x.reshape(x.shape[0], -1) @ params["weight"] / 60

    entry = dataclasses.replace(
        ZOO["caffenet"],
        name="tiny",
        shapes={"weight": (32 * 32 * 3, 10)},
        params_from_flat=params_from_flat,
        apply=apply,
        image_shape=(40, 40, 3),
        input_size=32,
        chunk=4,
        imagenet=False,
    )
    ZOO.register("tiny")(entry)
    yield ("--model", "tiny", "--weights", path, "--chunk", 2)
    del ZOO._table["tiny"]
