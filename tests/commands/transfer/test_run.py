"""`transfer_run`: runs and folders shown to networks; tables, plots, targets and refusals."""

import csv
import dataclasses
import functools
import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from qd_fool.commands.common.console import make_console
from qd_fool.commands.transfer.answers import show
from qd_fool.commands.transfer.networks import all_networks, load_targets, named
from qd_fool.commands.transfer.page import floored
from qd_fool.commands.transfer.run import TransferConfig, transfer_run
from qd_fool.commands.transfer.sheet import write_sheet
from qd_fool.commands.transfer.sources import read_sources
from qd_fool.errors import UserError
from qd_fool.models import ZOO, load_scorer
from qd_fool.models.labels import imagenet_labels
from qd_fool.runs.directory import SCHEMA
from qd_fool.runs.elites import ELITES
from qd_fool.runs.pictures import write_image
from qd_fool.scoring.confidence import confidence_of
from qd_fool.scoring.score import score_images

WNIDS = imagenet_labels()[0]


def params_from_flat(flat, *, source):
    return jnp.asarray(flat["weight"])


def apply(weight, x):
    """Sees the mean of each channel only, so that a picture's target is easily made."""
    return 40 * jnp.mean(x, axis=(1, 2)) @ weight


def directions(seed):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(3, 1000)).astype(np.float32)
    # Class 1 is red, 2 green and 3 blue, to every seed; the others stay below.
    weight *= 0.3 / np.linalg.norm(weight, axis=0)
    weight[:, 1:4] = np.eye(3) * (1.6 + 0.1 * seed)
    return weight


@pytest.fixture(scope="module")
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


def picture(class_index, strength=255, side=40):
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[..., class_index - 1] = strength
    pixels[: side // 8] = 90  # outside of a's and b's centre in part
    return pixels


@pytest.fixture(scope="module")
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


def refusal(call, *args, **kwargs):
    with pytest.raises(UserError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


def rows_of(out):
    with (out / "transfer.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_is_shown_to_its_own_network_and_another(run_dir, transfer, tiny):
    out, figures, said = transfer(run_dir, plots=True)
    assert out == run_dir / "transfer"
    assert [network["name"] for network in figures["networks"]] == ["tiny-a", "tiny-b"]
    (source,) = figures["sources"]
    assert (source["kind"], source["seed"], source["networks"]) == ("evolution", 7, ["tiny-a"])
    assert source["scores_differ_from_recorded_by"] <= 1e-6
    rows = rows_of(out)
    assert len(rows) == 3 * 2
    for name in ("tiny-a", "tiny-b"):
        scorer = load_scorer(name, weights=tiny[name])
        for row in (row for row in rows if row["network"] == name):
            pixels = np.asarray(Image.open(run_dir / row["image"]))[None]
            odds = score_images(scorer, pixels, crops=1, chunk=4)[0]
            target, seen = int(row["target_class"]), int(row["argmax_class"])
            assert float(row["log_odds"]) == pytest.approx(odds[target], abs=1e-4)
            assert float(row["confidence"]) == pytest.approx(confidence_of(odds[target]), abs=1e-6)
            assert seen == odds.argmax()
            assert row["argmax_label"] == scorer.class_names[seen]
            assert row["own"] == str(int(name == "tiny-a"))
    (pair,) = source["pairs"]
    assert pair["at"]["0.99"] == {
        "images": 3, "a": 2, "b": 2, "both": 2, "a_only": 0, "b_only": 0,
    }  # fmt: skip
    assert source["fool_both_at_99"] == [[2, 2], [2, 2]]
    assert [row["image"] for row in figures["fool_all"]] == [
        "elites/0001_c.png",
        "elites/0002_c.png",
    ]
    assert figures["chance"] == 0.001
    low, high = source["networks_fooled"]["tiny-b"]["interval_95"]
    assert low <= source["networks_fooled"]["tiny-b"]["median_confidence"] <= high
    for name in (*figures["files"], "transfer.json"):
        assert (out / name).stat().st_size > 0
    assert "tiny-b (b.npz): 3 pictures in " in said
    page = (out / "transfer.md").read_text()
    assert "| tiny-b | 2 | 0 | 0 |" in page
    assert f"qd-fool transfer {run_dir} --to tiny-b --weights {tiny['tiny-b']}" in page


def test_a_former_transfer_is_overwritten_and_nothing_else(run_dir, transfer):
    out = run_dir / "transfer"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    assert f"--out {out} exists" in refusal(transfer, run_dir)
    former = {"kind": "transfer", "files": ["scatter.png", "../run.json", "transfer.csv"]}
    (out / "transfer.json").write_text(json.dumps(former))
    (out / "scatter.png").write_text("of a former transfer")
    transfer(run_dir)
    assert {path.name for path in out.iterdir()} == {
        "mine.txt", "transfer.csv", "transfer.json", "transfer.md",
    }  # fmt: skip
    assert (run_dir / "run.json").exists()
    assert f"--out {run_dir} exists" in refusal(transfer, run_dir, out=run_dir)
    assert refusal(transfer, run_dir, out=run_dir / "run.json").endswith("expected a directory")


def test_a_network_that_has_changed_or_gone_is_stood_in_for(run_dir, transfer, tmp_path, tiny):
    path = run_dir / "run.json"
    record = json.loads(path.read_text())
    with (run_dir / "elites.csv").open(newline="") as file:
        elites = [float(row["confidence"]) for row in csv.DictReader(file)]
    record["config"]["weights"] = str(tmp_path / "gone.npz")
    path.write_text(json.dumps(record))
    # The same weights by another path are the same network.
    networks = load_targets(("tiny-a",), (tiny["tiny-a"],), mean=None)
    sources = read_sources([run_dir], networks[0].scorer)
    assert all_networks(sources, networks, console=make_console()) == (networks, [[0]])
    for weights, words in ((tiny["tiny-b"], "has sha256"), (tmp_path / "gone.npz", "gone.npz")):
        record["config"]["weights"] = str(weights)
        path.write_text(json.dumps(record))
        out, figures, said = transfer(run_dir)
        assert said.count("warning: run: tiny-a is not scored") == 1
        assert words in said
        own = [float(row["confidence"]) for row in rows_of(out) if row["network"] == "tiny-a"]
        assert own == pytest.approx(elites)
        assert figures["networks"][0]["scored"] is False
        assert figures["sources"][0]["pairs"][0]["at"]["0.99"]["both"] == 2


def test_a_joint_run_has_several_networks_of_its_own(run_dir, transfer, tiny):
    path = run_dir / "run.json"
    record = json.loads(path.read_text())
    digest = load_scorer("tiny-b", weights=tiny["tiny-b"]).weights_sha256
    record["config"] |= {"also": ["tiny-b"], "also_weights": [str(tiny["tiny-b"])]}
    record["config"]["weights_sha256"] += f"+{digest}"
    record["config"]["weights"] = "gone.npz"  # which leaves no figures of tiny-a
    path.write_text(json.dumps(record))
    _, figures, _ = transfer(run_dir, to=("tiny-wide",))
    (source,) = figures["sources"]
    assert (source["kind"], source["networks"]) == ("joint", ["tiny-a", "tiny-b"])
    assert source["networks_fooled"]["tiny-a"] is None
    assert [(pair["a"], pair["b"]) for pair in source["pairs"]] == [("tiny-b", "tiny-wide")]
    record["config"]["also"] = []
    path.write_text(json.dumps(record))
    assert "expected as many" in refusal(transfer, run_dir, out=run_dir / "other")


def test_folders_tell_targets_by_name_or_go_by_the_first_network(tmp_path, transfer, run_dir):
    folder = tmp_path / "pictures"
    (folder / WNIDS[3]).mkdir(parents=True)
    write_image(folder / "0002_hen.png", picture(2))
    write_image(folder / f"photo_{WNIDS[1]}.png", picture(1))
    write_image(folder / WNIDS[3] / "x.png", picture(3, side=47))
    write_image(folder / "what.png", picture(2, side=60))
    out, figures, said = transfer(folder, run_dir, to=("tiny-b",), plots=True, out=tmp_path / "out")
    named = {
        row["image"]: int(row["target_class"])
        for row in rows_of(out)
        if row["source"] == "pictures"
    }
    assert named == {
        "0002_hen.png": 2, "what.png": 2, f"photo_{WNIDS[1]}.png": 1, f"{WNIDS[3]}/x.png": 3,
    }  # fmt: skip
    source = figures["sources"][0]
    assert source["targets_told_by"] == {"index": 1, "wnid": 2, "nothing": 1}
    assert source["networks"] == []
    assert source["pairs"][0]["a"] == "tiny-b"
    assert "no class is told by the names of 1 of 4 pictures" in said
    assert "what tiny-b is most confident about" in said
    assert {"scatter_0_pictures.png", "scatter_1_run.png"} <= set(figures["files"])
    assert "## All sources" in (out / "transfer.md").read_text()


def test_pictures_are_cut_pixel_for_pixel_and_enlarged_only_where_they_are_small(
    tmp_path, transfer, tiny, run_dir
):
    wide = load_scorer("tiny-wide", weights=tiny["tiny-wide"])
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (51, 60, 3), dtype=np.uint8)
    write_image(tmp_path / "0001_large.png", noise)
    np.testing.assert_array_equal(
        show(wide, tmp_path / "0001_large.png", crops=1), noise[1:49, 6:54]
    )
    write_image(tmp_path / "0001_small.png", noise[:40, :44])
    shown = show(wide, tmp_path / "0001_small.png", crops=10)
    want = Image.fromarray(noise[:40, :44]).resize((61, 56), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(shown, np.asarray(want)[:, 2:58])
    _, figures, said = transfer(run_dir, to=("tiny-wide",), crops=10)
    assert [n["images_enlarged"] for n in figures["networks"]] == [0, 3]
    assert figures["networks"][1]["enlarged_to"] == 56
    assert "3 of 3 pictures are smaller than the 48x48 input of tiny-wide" in said
    assert "run was made with 1 crops a picture, and is scored here with 10" in said


def test_names(tiny, tmp_path):
    other = tmp_path / "other.npz"
    np.savez(other, weight=directions(5))
    networks = load_targets(("tiny-a", "tiny-a"), (tiny["tiny-a"], other), mean=None)

    def names(*more):
        return [network.name for network in named(*more)]

    assert names(networks, networks, ()) == ["tiny-a (a)", "tiny-a (other)"]
    assert names(networks, networks[1:], ("held out",)) == ["tiny-a (a)", "held out"]
    assert names(networks[:1], networks[:1], ()) == ["tiny-a"]
    alike = [networks[0], dataclasses.replace(networks[1], weights="a.npz")]
    assert names(alike, networks, ())[0] == (
        f"tiny-a (a, {networks[0].identity.weights_sha256[:8]}, float32)"
    )
    assert "expected as many" in refusal(named, networks, networks, ("x",))
    assert "called 'x'" in refusal(named, networks, networks, ("x", "x"))


def test_the_sheet_says_how_many_fool_all(tmp_path):
    write_image(tmp_path / "x.png", picture(1))

    def sheet(log_odds):
        write_sheet(
            tmp_path / "sheet.png",
            {"networks": [{"scored": True}] * 2},
            log_odds=np.full((130, 2), log_odds),
            targets=np.ones(130, int),
            paths=[tmp_path / "x.png"] * 130,
            labels=("a", "a very long name indeed, and another"),
        )
        with Image.open(tmp_path / "sheet.png") as picture:
            return picture.size

    many, few = sheet(9.0), sheet(1.0)
    assert many[0] > few[0] > 700
    assert 1000 < many[1] < 1400
    assert few[1] == 48 + 2 * 154


def test_what_is_refused(run_dir, tmp_path, transfer, tiny):
    refused = functools.partial(refusal, transfer)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "neither a run.json nor pictures" in refused(empty)
    assert "no such directory" in refused(tmp_path / "nowhere")
    assert "given more than once" in refused(run_dir, run_dir / ".")
    assert "at least one run" in refused()
    assert "--to is missing" in refused(run_dir, to=())
    assert "unknown model 'nobody'" in refused(run_dir, to=("nobody",))
    assert "given twice with the same weights" in refused(run_dir, to=("tiny-b", "tiny-b"))
    assert "tiny-b has 1000 classes and lenet 10" in refused(run_dir, to=("tiny-b", "lenet"))
    assert "run has 1000 classes and lenet 10" in refused(run_dir, to=("lenet",))
    assert "crops is 3" in refused(run_dir, crops=3)
    assert "subtracts no mean" in refused(run_dir, mean=tmp_path / "mean.npy")
    gray = tmp_path / "gray"
    gray.mkdir()
    Image.new("L", (40, 40)).save(gray / "0001_x.png")
    assert "0001_x.png: its mode is L, expected RGB" in refused(gray)
    exact = tmp_path / "exact"
    exact.mkdir()
    write_image(exact / "0001_x.png", picture(1, side=32))
    assert "0001_x.png: ten crops need images larger" in refused(exact, crops=10)
    shutil.copy(run_dir / "elites.csv", tmp_path / "elites.csv")
    (run_dir / "elites.csv").write_text(
        (tmp_path / "elites.csv").read_text().replace("\n1,", "\n1000,")
    )
    assert "class_index goes beyond 0..999" in refused(run_dir)
    (run_dir / "elites" / "0002_c.png").unlink()
    shutil.copy(tmp_path / "elites.csv", run_dir / "elites.csv")
    assert "0002_c.png: cannot be read" in refused(run_dir)
    np.savez(tmp_path / "nan.npz", weight=np.full((3, 1000), np.nan, np.float32))
    config = TransferConfig((gray,), ("tiny-b",), (tmp_path / "nan.npz",))
    write_image(gray / "0001_x.png", picture(1))
    said = refusal(transfer_run, config, console=make_console())
    assert "nan.npz) gives NaN" in said
    assert not any((path / "transfer").exists() for path in (run_dir, gray, exact, empty))


def test_confidence_is_never_told_as_more_than_it_is():
    assert floored(0.99999, 4) == "0.9999"
    assert floored(0.9, 4) == "0.9000"
    assert floored(1.0, 4) == "1.0000"
