"""The loop of an evolution: killed and stopped at any time, and NaN scores."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from command import SMALL, evolve, refused
from PIL import Image
from run_files import assert_same_archive, assert_same_logs, record

from qd_fool.cli import main
from qd_fool.models import load_scorer
from qd_fool.models.architectures.lenet import flat_from_params

LONG = ("evolve", *SMALL, "--generations", "100", "--checkpoint-every", "5")
"""With the program of the small run."""


def start_and_signal(run_dir, number, *, logged):
    """Start a run, wait for some generations, send a signal; its exit code and words."""
    process = subprocess.Popen(
        [sys.executable, "-m", "qd_fool.cli", *LONG, "--run-dir", str(run_dir)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    deadline = time.monotonic() + 120
    while generations_logged(run_dir) < logged and time.monotonic() < deadline:
        if process.poll() is not None:
            break
        time.sleep(0.005)
    process.send_signal(number)
    _, words = process.communicate(timeout=120)
    return process.returncode, words


def generations_logged(run_dir):
    path = run_dir / "metrics.csv"
    return path.read_text().count("\n") - 1 if path.exists() else 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "whole"
    assert main([*LONG, "--run-dir", str(path)]) == 0
    return path


@pytest.mark.parametrize("logged", [1, pytest.param(40, marks=pytest.mark.long)])
def test_sigkill_then_resume_gives_the_same_bits(whole, tmp_path, capsys, logged):
    """Before the first checkpoint is sure to be there, and between two."""
    path = tmp_path / "killed"
    code, _ = start_and_signal(path, signal.SIGKILL, logged=logged)
    assert code == -signal.SIGKILL
    capsys.readouterr()
    assert main([*LONG, "--resume", "--run-dir", str(path)]) == 0
    output = capsys.readouterr().err
    assert "resuming after generation" in output or logged == 1
    assert_same_archive(whole, path)
    assert_same_logs(whole, path)


def test_ctrl_c_saves_and_says_how_to_continue(whole, tmp_path):
    path = tmp_path / "stopped"
    code, words = start_and_signal(path, signal.SIGINT, logged=3)
    assert code == 130
    output = " ".join(words.split())
    assert f"continue with: qd-fool evolve --resume --run-dir {path}" in output
    assert record(path)["status"] == "interrupted"
    assert (path / "report.html").exists()
    assert main(["evolve", "--resume", "--run-dir", str(path)]) == 0
    assert_same_archive(whole, path)


def test_nan_scores_stop_the_run_and_are_told(tmp_path, capsys, monkeypatch):
    flat = flat_from_params(load_scorer("lenet").params)
    flat["ip2.weight"] *= 1e38  # infinite logits, whose differences are not numbers
    weights = tmp_path / "nan.npz"
    np.savez(weights, **flat)
    run = tmp_path / "r"
    flags = ("evolve", "--run-dir", run, *SMALL, "--weights", weights)
    assert "gives NaN or infinite scores to plain noise" in refused(capsys, *flags)
    assert not run.exists()
    monkeypatch.setattr("qd_fool.commands.evolve.run.show_sanity", lambda *_, **__: None)
    assert "NaN or infinite scores, first in generation 0" in refused(capsys, *flags)
    assert (record(run)["status"], record(run)["bad_generation"]) == ("failed", 0)
    picture = tmp_path / "p.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)).save(picture)
    assert "NaN or infinite" in refused(capsys, "score", picture, "--weights", weights)


def test_a_run_explained_writes_nothing(tmp_path, capsys):
    """Two devices send each other their best bids and the genomes that could win: 10 each."""
    assert evolve(tmp_path / "r", *SMALL, "--explain") == 0
    said = capsys.readouterr().err
    assert "genome:        784 bytes; 10 cells hold 7,840 bytes" in said
    assert "generation:    20 offspring, 20 counted evaluations" in said
    # A genome with its three numbers and whether it competes, a best bid with its index, and two
    # facts of each device.
    sent = 2 * (10 * (784 + 3 * 4 + 1) + 10 * (4 + 4) + 1 + 4)
    assert f"communication: all-gather {sent:,} bytes per generation and device" in said
    assert not (tmp_path / "r").exists()
