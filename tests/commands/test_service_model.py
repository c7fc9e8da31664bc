"""`--model http://...` through the commands: a service that dies, a budget, and secrets."""

import json

import numpy as np
import pytest
import service as services
from command import refused

from qd_fool.cli import main
from qd_fool.files import read_npz
from qd_fool.models.foreign.http import sender
from qd_fool.models.foreign.settings import NAMED

WEIGHTS = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
SIZE = ("--input-size", "8", "--channels", "gray")


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setattr(sender, "FIRST_PAUSE", 0.002)
    monkeypatch.setenv("A_TOKEN", "s3cret")
    with services.running(lambda x: x.reshape(len(x), -1) / np.float32(256) @ WEIGHTS) as running:
        yield running
    NAMED.clear()


def evolve(service, run_dir, *words):
    network = ("--model", service.url, *SIZE, "--token-env", "A_TOKEN", "--retries", "1")
    return ["evolve", *network, "--preset", "fast", "--run-dir", str(run_dir), *words]


def record(path):
    return json.loads((path / "run.json").read_text("utf-8"))


def test_a_service_that_dies_pauses_the_run_and_resume_gives_the_same_bits(
    service, tmp_path, capsys
):
    assert main(evolve(service, tmp_path / "whole", "--generations", "5")) == 0
    before, service.sent = service.sent, 0
    assert service.headers["Authorization"] == "Bearer s3cret"
    service.answer = lambda number: 503 if number > before - 9 else 200
    path = tmp_path / "part"
    sentence = refused(capsys, *evolve(service, path, "--generations", "5"))
    command = f"qd-fool evolve --resume --run-dir {path} --model {service.url} --token-env A_TOKEN"
    assert "was asked 2 times without an answer (503 Service Unavailable)" in sentence
    assert sentence.endswith(f"continue with: {command}")
    assert record(path)["status"] == "paused"
    assert "httpx" in record(path)["versions"]
    assert (record(path)["generations_done"], (path / "elites").exists()) == (3, False)

    # It is back. Only a command line that names it asks it.
    service.answer = lambda number: 200
    NAMED.clear()
    resume = command.split()[1:]
    assert f"give --model {service.url}" in refused(capsys, *resume[:4])
    assert main(resume) == 0
    whole, part = (read_npz(tmp_path / name / "archive.npz") for name in ("whole", "part"))
    assert all(np.array_equal(whole[name], part[name]) for name in whole)
    evaluations = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "part")]
    assert [row.split(",")[:2] for row in evaluations[0].splitlines()] == [
        row.split(",")[:2] for row in evaluations[1].splitlines()
    ]
    files = [p for p in path.rglob("*") if p.is_file()]
    assert not [p for p in files if b"s3cret" in p.read_bytes()]


def test_a_budget_ends_the_run_with_its_pictures(service, tmp_path, capsys):
    path = tmp_path / "run"
    words = ("--generations", "50", "--requests", "60", "--chunk", "5", "--batch-size", "20")
    assert main(evolve(service, path, *words)) == 0
    assert "the budget of 60 requests" in capsys.readouterr().err
    assert service.sent <= 60
    assert record(path)["status"] == "paused"
    assert (path / "report.html").exists()
    export = ["export", str(path)]
    assert "give --model" in refused_unnamed(capsys, *export)
    assert main([*export, "--model", service.url, "--token-env", "A_TOKEN"]) == 0


def refused_unnamed(capsys, *words):
    NAMED.clear()
    return refused(capsys, *words)


def test_the_other_commands_take_it(service, tmp_path, capsys):
    path = tmp_path / "run"
    assert main(evolve(service, path, "--generations", "1")) == 0
    capsys.readouterr()
    name = ("--model", service.url)
    picture = next((path / "elites").iterdir())
    assert main(["score", str(picture), *name, *SIZE, "--post", "png", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["top"][0]["label"].startswith("class ")
    assert main(["transfer", str(path), "--to", service.url, *SIZE]) == 0
    poster = ("--class", "0", "--size", "16", "--nearest", "--out", str(tmp_path / "0.png"))
    assert main(["render", str(path), *poster, *name]) == 0
    assert "has no gradient" in refused(capsys, "ascend", *name, *SIZE)


def test_what_does_not_fit_is_one_sentence(capsys):
    assert "--rate-limit 3.0 is for a network behind an address, not lenet" in refused(
        capsys, "evolve", "--rate-limit", "3"
    )
    assert "how large are its pictures" in refused(capsys, "evolve", "--model", "https://a/b")
