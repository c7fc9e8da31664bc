"""Three networks, and one finished run that all tests of `qd-fool transfer` share."""

import csv
import dataclasses
import io
import json
import shutil

import numpy as np
import pytest
from transfer_networks import apply, directions, params_from_flat, picture

from qd_fool.commands.common.console import make_console
from qd_fool.commands.transfer.config import TransferConfig
from qd_fool.commands.transfer.run import transfer_run
from qd_fool.models import ZOO, load_scorer
from qd_fool.runs.directory import SCHEMA
from qd_fool.runs.elites import ELITES
from qd_fool.runs.pictures import write_image
from qd_fool.scoring.confidence import confidence_of
from qd_fool.scoring.score import score_images


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Three networks: a and b see 32 pixels of 40, wide sees 48 of 56; weights files by name."""
    folder = tmp_path_factory.mktemp("weights")
    files = {}
    for seed, (name, side, size) in enumerate((("a", 40, 32), ("b", 40, 32), ("wide", 56, 48))):
        entry = dataclasses.replace(
            ZOO["squeezenet1.1"],
            name=f"tiny-{name}",
            shapes={"weight": (3, 1000)},
            params_from_flat=params_from_flat,
            apply=apply,
            preprocess=lambda x: x / 255,
            image_shape=(side, side, 3),
            input_size=size,
            chunk=4,
        )
        ZOO.register(entry.name)(entry)
        files[f"tiny-{name}"] = folder / f"{name}.npz"
        np.savez(files[f"tiny-{name}"], weight=directions(seed))
    yield files
    for name in files:
        del ZOO._table[name]


@pytest.fixture(scope="session")
def finished(tmp_path_factory, tiny):
    """A run against tiny-a as evolution leaves it, of three pictures: two that fool it."""
    run = tmp_path_factory.mktemp("finished") / "run"
    (run / "elites").mkdir(parents=True)
    scorer = load_scorer("tiny-a", weights=tiny["tiny-a"])
    images = [picture(1), picture(2), picture(3, strength=25)]
    odds = score_images(scorer, np.stack(images), crops=1, chunk=4)
    with (run / "elites.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(ELITES)
        for i, image in enumerate(images):
            k, name = i + 1, f"elites/000{i + 1}_c.png"
            write_image(run / name, image)
            confidence = float(confidence_of(odds[i, k]))
            best = int(odds[i].argmax())
            top = json.dumps([[best, float(confidence_of(odds[i, best]))]])
            writer.writerow((k, "c", confidence, float(odds[i, k]), 3, 0, -1, -1, name, top))
    record = {
        "schema": SCHEMA,
        "status": "finished",
        "config": {
            "model": "tiny-a",
            "weights": str(tiny["tiny-a"]),
            "weights_sha256": scorer.weights_sha256,
            "crops": 1,
            "seed": 7,
        },
        "classes": 1000,
        "evaluations": 24,
        "versions": {},
        "device": {},
    }
    (run / "run.json").write_text(json.dumps(record))
    return run


@pytest.fixture(scope="session")
def ran(finished, tiny, tmp_path_factory):
    """One transfer of the run to tiny-b, with all plots: the directory, and what was printed."""
    out = tmp_path_factory.mktemp("ran") / "out"
    console = make_console(file=io.StringIO())
    config = TransferConfig((finished,), ("tiny-b",), (tiny["tiny-b"],), out=out)
    assert transfer_run(config, console=console) == out
    return out, json.loads((out / "transfer.json").read_text()), console.file.getvalue()


@pytest.fixture
def run_dir(finished, tmp_path):
    """A copy of it, to change."""
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture
def transfer(tiny, capsys, monkeypatch):
    """Call the function with networks of these tests; its figures, and what it printed."""

    def call(*runs, to=("tiny-b",), plots=False, **more):
        if not plots:
            monkeypatch.setattr("qd_fool.commands.transfer.run.write_plots", lambda *_, **__: [])
        weights = tuple(tiny.get(name, "own") for name in to)
        config = TransferConfig(tuple(runs), to, weights, **more)
        out = transfer_run(config, console=make_console())
        return out, json.loads((out / "transfer.json").read_text()), capsys.readouterr().err

    return call
