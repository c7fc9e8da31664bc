"""What a search is about comes back from its run directory, whatever kind of search it was."""

import dataclasses
import hashlib
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from paths import ARCHIVES

from qd_fool.commands.common.networks import OWN, Networks
from qd_fool.commands.common.subject import make_subject, stored_networks, stored_subject
from qd_fool.errors import UserError
from qd_fool.runs.load import archive_pictures, load_archive
from qd_fool.runs.stored import StoredRun, open_run


@pytest.mark.parametrize("name", ["mnist_direct", "mnist_cppn", "mnist_ascent"])
def test_a_stored_subject_scores_as_the_run_did(name):
    run = open_run(ARCHIVES / name)
    subject = stored_subject(run)
    assert subject.scorer.name == "lenet"
    assert subject.crops == 1
    described = json.loads(json.dumps(subject.record()))
    assert described.pop("labels") == "digits"  # which older versions did not write down
    assert described == {key: run.record[key] for key in described}
    loaded = load_archive(ARCHIVES / name)
    scores = subject.score(subject.scorer.params, archive_pictures(loaded))
    np.testing.assert_allclose(np.diagonal(scores), loaded.archive.fitness, atol=1e-4)


def changed(run, **config):
    record = run.record | {"config": run.record["config"] | config}
    return StoredRun(run.path, record)


def test_other_files_than_it_ran_with_are_refused():
    run = open_run(ARCHIVES / "mnist_direct")
    with pytest.raises(UserError, match=r"cannot be scored again: weights-sha256 is '658cf.*'00'"):
        stored_subject(changed(run, weights_sha256="00"))
    with pytest.raises(UserError, match=r"mean-sha256 is None, the run has '00'"):
        stored_subject(changed(run, mean_sha256="00"))


def test_networks_come_back_with_defaults_of_older_versions():
    run = open_run(ARCHIVES / "mnist_direct")
    assert stored_networks(run) == Networks("lenet")
    old = {
        k: v
        for k, v in run.record["config"].items()
        if k not in ("also", "also_weights", "joint", "mean", "precision")
    }
    assert stored_networks(StoredRun(run.path, {"config": old})) == Networks("lenet")
    several = changed(
        run, also=["lenet-b"], also_weights=["b.npz"], weights=OWN, joint="mean", mean="m.npy"
    )
    assert stored_networks(several) == Networks(
        "lenet", ("lenet-b",), Path(OWN), (Path("b.npz"),), "mean", Path("m.npy")
    )
    with pytest.raises(UserError, match=r"joint is 3, expected str"):
        stored_networks(changed(run, joint=3))


def test_several_networks_are_read_as_one():
    alone = Networks("lenet-b").load()
    both = Networks("lenet", also=("lenet-b",)).load()
    assert both.name == "lenet+lenet-b"
    jax.tree.map(np.testing.assert_array_equal, both.params[1], alone.params)


def test_the_mean_image_is_hashed(tmp_path):
    subject = stored_subject(open_run(ARCHIVES / "mnist_direct"))
    assert set(subject.hashes) == {"weights_sha256"}
    mean = tmp_path / "mean.npy"
    mean.write_bytes(b"mean")
    networks = dataclasses.replace(subject.networks, mean=mean)
    again = make_subject(networks, subject.scorer, subject.encoding, crops=1, chunk=5)
    assert again.hashes["mean_sha256"] == hashlib.sha256(b"mean").hexdigest()
