"""A retraining on ImageNet's classes in several processes on loopback: the bits of one."""

import json

import numpy as np
import pytest
from PIL import Image
from processes import ends, finish, start_together, survivor, wait_for

from qd_fool.models.labels import imagenet_labels
from qd_fool.runs.elites import read_elites

SIDE, SIZE = 12, 10

TINY = f"""
import dataclasses, jax.numpy as jnp
from qd_fool.commands.common import record
from qd_fool.models import ZOO
def params_from_flat(flat, *, source):
    return {{"head": {{"kernel": jnp.asarray(flat["weight"]), "bias": jnp.zeros(1000)}}}}
def apply(params, x):
    x = x.reshape(x.shape[0], -1)
    return x @ params["head"]["kernel"] + params["head"]["bias"][None]
ZOO.register("tiny-head")(dataclasses.replace(
    ZOO["squeezenet1.1"], name="tiny-head", shapes={{"weight": ({SIZE * SIZE * 3}, 1000)}},
    params_from_flat=params_from_flat, apply=apply, image_shape=({SIDE}, {SIDE}, 3),
    input_size={SIZE}, chunk=4))
record.write_report = lambda run_dir: None
"""
"""A small network with ImageNet's classes; no pages of a thousand thumbnails."""


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """Flags of a small retraining, with its weights and photographs."""
    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(0)
    weights, photos = folder / "tiny.npz", folder / "photos"
    np.savez(weights, weight=rng.normal(0, 0.2, (SIZE * SIZE * 3, 1000)).astype(np.float32))
    photos.mkdir()
    for wnid in imagenet_labels()[0][:24]:
        pixels = np.full((32, 32, 3), rng.integers(0, 256, 3), np.uint8)
        Image.fromarray(pixels).save(photos / f"{wnid}.png")
    return [
        "--model", "tiny-head", "--weights", weights, "--photos", photos, "--encoding", "direct",
        "--preset", "paper", "--evaluations", "400", "--epochs", "1", "--batch-size", "12",
    ]  # fmt: skip


def words(run_dir, flags):
    return ["retrain", "--run-dir", str(run_dir), *map(str, flags)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, flags):
    run_dir = tmp_path_factory.mktemp("alone") / "run"
    finish(*words(run_dir, flags), code=TINY)
    return run_dir


def assert_same_retraining(a, b):
    network = "round_1/network.safetensors"
    assert (a / network).read_bytes() == (b / network).read_bytes()
    rows = [json.loads((run / "retrain.json").read_text())["rows"] for run in (a, b)]
    assert rows[0] == rows[1]
    for run in ("before", "held_out", "round_1/after"):
        assert read_elites(a / run) == read_elites(b / run)


@pytest.mark.long
def test_two_processes(tmp_path, flags, alone):
    run_dir = tmp_path / "run"
    (leader, code), (follower, other) = ends(start_together(*words(run_dir, flags), code=TINY))
    assert (code, other) == (0, 0), leader + follower
    assert f"look at {run_dir / 'retrain.md'}" in leader
    assert "process 1 of 2 follows process 0" in follower
    assert "evolution" not in follower
    assert_same_retraining(run_dir, alone)


@pytest.mark.long
def test_four_processes(tmp_path, flags, alone):
    run_dir = tmp_path / "run"
    said = ends(start_together(*words(run_dir, flags), code=TINY, processes=4))
    assert [code for _, code in said] == [0] * 4
    assert_same_retraining(run_dir, alone)


@pytest.mark.long
def test_a_signal_to_one_process_saves_the_evolution_and_one_process_ends_it(
    tmp_path, flags, alone
):
    """It comes while the first network is evolved against."""
    run_dir = tmp_path / "run"
    # Segments take three seconds here, so that the signal comes in time.
    slow = (
        "import time, qd_fool.commands.evolve.loop as loop\n"
        "record_segment = loop._record_segment\n"
        "loop._record_segment = lambda *a, **k: (time.sleep(3), record_segment(*a, **k))\n"
    )
    processes = start_together(*words(run_dir, flags), code=TINY + slow)
    wait_for(run_dir / "before" / "run.json")
    processes[1].terminate()
    (leader, code), (_, other) = ends(processes)
    assert (code, other) == (130, 130), leader
    assert "interrupted" in leader
    assert f"continue with: qd-fool retrain --resume --run-dir {run_dir}" in leader
    finish(*words(run_dir, [*flags, "--resume"]), code=TINY)
    assert_same_retraining(run_dir, alone)


@pytest.mark.long
@pytest.mark.parametrize("devices", [1, 4, 8])
def test_devices_change_no_bit(tmp_path, flags, alone, devices):
    """The retraining in one process has a device per core."""
    finish(*words(tmp_path / "run", flags), code=TINY, devices=devices)
    assert_same_retraining(tmp_path / "run", alone)


def with_marks(folder):
    """Code that saves each segment, and writes files when evolutions and trainings go on."""
    return (
        TINY
        + f"""
import time
from pathlib import Path
from qd_fool.commands.evolve import loop
from qd_fool.commands.retrain.imagenet import training
loop.CHECKPOINT_SECONDS = 0
save, batches = loop._save, training.batches
def mark(name):
    Path({str(folder)!r}, name).touch()
    time.sleep(1)
def save_and_mark(job, *words, **more):
    save(job, *words, **more)
    mark(f"evolved_{{job.run_dir.name}}")
def marked(*words, **more):
    for images in batches(*words, **more):
        yield images
        mark("trained")
loop._save, training.batches = save_and_mark, marked
"""
    )


@pytest.mark.long
@pytest.mark.parametrize("dead", [0, 1])
@pytest.mark.parametrize("work", ["evolved_before", "trained", "evolved_after"])
def test_a_dead_process_ends_the_other_with_a_sentence(tmp_path, flags, alone, work, dead):
    run_dir = tmp_path / "run"
    processes = start_together(*words(run_dir, flags), code=with_marks(tmp_path))
    wait_for(tmp_path / work)
    said, code = survivor(processes, dead)
    assert code == 2
    assert said.count("qd-fool: ") == 1
    assert "qd-fool: another process of the run has ended" in said
    assert "Traceback" not in said
    assert said.count("qd-fool evolve") == 0
    assert f"with: qd-fool retrain --resume --run-dir {run_dir}" in said
    finish(*words(run_dir, [*flags, "--resume"]), code=TINY)
    assert_same_retraining(run_dir, alone)


@pytest.mark.long
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("work", ["read", "trained"])
def test_a_signal_between_evolutions_ends_both(tmp_path, flags, alone, work, number):
    """It comes while pictures are read, or during training."""
    run_dir = tmp_path / "run"
    slow = """
from qd_fool.commands.retrain.imagenet import rounds
pictures = rounds._pictures
def read(*words):
    mark("read")
    time.sleep(2)
    return pictures(*words)
rounds._pictures = read
"""
    processes = start_together(*words(run_dir, flags), code=with_marks(tmp_path) + slow)
    wait_for(tmp_path / work)
    processes[number].terminate()
    for said, code in ends(processes):
        assert code == 130, said
        assert said.endswith("qd-fool: interrupted")
        assert "Traceback" not in said
    finish(*words(run_dir, [*flags, "--resume"]), code=TINY)
    assert_same_retraining(run_dir, alone)
