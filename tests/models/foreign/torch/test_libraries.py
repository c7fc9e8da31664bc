"""`torchvision:`, `timm:`, `hf:`: the libraries' facts, local checkpoints, and missing files."""

import json
import urllib.error

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="modules of PyTorch")

import torch_modules  # noqa: E402

from qd_fool.errors import UserError  # noqa: E402
from qd_fool.models.foreign.settings import PictureSettings  # noqa: E402
from qd_fool.models.load import load_scorer  # noqa: E402
from qd_fool.scoring.score import score_images  # noqa: E402

BY_TORCH = PictureSettings(engine="torch")


def load(name, weights=None, **flags):
    picture = PictureSettings(engine="torch", **flags)
    return load_scorer(name, weights=weights, picture=picture)


def refused(sentence, *args, **flags):
    with pytest.raises(UserError, match=sentence) as caught:
        load(*args, **flags)
    assert "\n" not in str(caught.value)


def images(scorer, n=2):
    shape = (n, *scorer.image_shape)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def vision():
    torch_modules.allow_any_torchvision()
    return pytest.importorskip("torchvision", reason="the library under test")


@pytest.fixture
def timm():
    torch_modules.allow_any_torchvision()
    return pytest.importorskip("timm", reason="the library under test")


NAME = "torchvision:mobilenet_v3_small"


def test_torchvision_states_preprocessing_and_labels(vision, tmp_path):
    scorer = load(NAME, "random")
    assert (scorer.image_shape, scorer.input_size) == ((256, 256, 3), 224)
    assert scorer.mean == pytest.approx((123.675, 116.28, 103.53))
    assert scorer.wnids[0] == "n01440764"
    assert scorer.weights_sha256 == load(NAME, "random").weights_sha256
    # Its own preset, on a picture that needs no resizing.
    picture = images(scorer, 1)
    module = scorer.score.__self__.module
    shown = vision.models.MobileNet_V3_Small_Weights.DEFAULT.transforms()
    with torch.no_grad():
        logits = module(shown(torch.tensor(picture).permute(0, 3, 1, 2)))[0].double()
    p = torch.softmax(logits, 0)
    expected = (torch.log(p) - torch.log1p(-p)).numpy()
    found = score_images(scorer, picture, crops=1, chunk=1)[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("form", ["plain", "within", "parallel"])
def test_a_checkpoint_with_classes_of_its_own(vision, tmp_path, form):
    module = vision.models.mobilenet_v3_small(num_classes=7).eval()
    state = module.state_dict()
    if form == "within":
        state = {"epoch": 3, "state_dict": state}
    elif form == "parallel":
        state = {f"module.{name}": value for name, value in state.items()}
    torch.save(state, tmp_path / "mine.pth")
    scorer = load(NAME, tmp_path / "mine.pth")
    assert scorer.class_names[6:] == ("class 6",)
    want, have = module.state_dict(), scorer.score.__self__.module.state_dict()
    assert all(torch.equal(want[name], have[name]) for name in want)


def test_checkpoints_that_do_not_fit_are_one_sentence(vision, tmp_path):
    path = tmp_path / "other.pth"
    torch.save(torch_modules.small().state_dict(), path)
    refused(
        r"does not fit .*: it lacks features.0.0.weight, .* and \d+ more; it also has", NAME, path
    )
    torch.save({"weights": [1, 2]}, path)
    refused("other.pth", NAME, path)
    (tmp_path / "code.pth").write_bytes(b"\x80\x04cos\nsystem\n(S'touch /tmp/owned'\ntR.")
    refused("code.pth", NAME, tmp_path / "code.pth")
    refused("cannot be read", NAME, tmp_path / "absent.pth")
    refused("expected a checkpoint, random, or one of IMAGENET1K_V1", NAME, "IMAGENET1K_V9")
    refused("did you mean resnet18", "torchvision:resnet17")
    refused("no classifier 'fcn_resnet50'", "torchvision:fcn_resnet50")


def test_weights_that_cannot_be_fetched_say_where_to_put_them(vision, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fails)
    refused(r"put mobilenet_v3_small-047dcff4.pth into .*checkpoints, or give --weights FILE", NAME)


def test_timm_states_its_own_facts(timm):
    scorer = load("timm:test_vit", "random")
    shown = timm.data.resolve_data_config(timm.create_model("test_vit").pretrained_cfg)
    assert scorer.input_size == shown["input_size"][1]
    assert scorer.image_shape[0] == int(shown["input_size"][1] / shown["crop_pct"])
    assert scorer.mean == pytest.approx([255 * v for v in shown["mean"]])
    assert scorer.wnids


def test_timm_without_a_head_or_a_network(timm, tmp_path, monkeypatch):
    refused("timm has no network 'test_vot': did you mean test_vit", "timm:test_vot")
    refused("has no head: it gives features", "timm:vit_small_patch14_dinov2", "random")
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    refused(
        r"cannot be fetched \(.*\): put model.safetensors .* give --weights FILE", "timm:test_vit"
    )


def test_a_gated_repository_and_a_file_of_the_cache(timm, tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    from qd_fool.models.foreign.torch import hub as ours

    class Answer:
        headers, status_code, request, url = {}, 403, None, ""

    def gated(*_, **__):
        raise hub.errors.GatedRepoError("no", response=Answer())

    monkeypatch.setattr(ours, "_unreachable", lambda _: None)
    monkeypatch.setattr(hub, "hf_hub_download", gated)
    refused("is gated: accept its terms on its page and log in", "timm:test_vit")
    module = timm.create_model("test_vit")
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(module.state_dict(), tmp_path / "model.safetensors")
    found = str(tmp_path / "model.safetensors")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: found)
    scorer = load("timm:test_vit")
    assert "its own weights" in scorer.weights
    have = scorer.score.__self__.module.state_dict()
    assert all(torch.equal(value, have[name]) for name, value in module.state_dict().items())


@pytest.fixture
def folder(tmp_path):
    """A small classifier as transformers saves it, with a processor's file and a model card."""
    transformers = pytest.importorskip("transformers", reason="the library under test")
    config = transformers.ResNetConfig(
        hidden_sizes=[8, 8],
        depths=[1, 1],
        embedding_size=8,
        id2label={0: "ant", 1: "bee", 2: "cat"},
    )
    torch.manual_seed(0)
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / "net")
    processor = {
        "do_resize": True, "size": {"shortest_edge": 40}, "do_center_crop": True,
        "crop_size": {"height": 32, "width": 36}, "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.5],
    }  # fmt: skip
    (tmp_path / "net/preprocessor_config.json").write_text(json.dumps(processor))
    (tmp_path / "net/README.md").write_text("---\nlicense: apache-2.0\n---\n# A network\n")
    return tmp_path / "net"


def change(folder, **facts):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def test_a_folder_of_transformers_states_its_facts(folder):
    scorer = load(f"hf:{folder}")
    assert scorer.class_names == ("ant", "bee", "cat")
    assert (scorer.input_size, scorer.image_shape) == ((32, 36), (40, 40, 3))
    assert scorer.mean == pytest.approx((127.5, 102, 76.5))
    assert "licence apache-2.0" in scorer.weights
    import transformers

    module = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
    picture = images(scorer, 2)
    cut = picture[:, 4:36, 2:38].astype(np.float32) / 255
    x = (cut - np.float32([0.5, 0.4, 0.3])) / np.float32([0.2, 0.25, 0.5])
    with torch.no_grad():
        p = torch.softmax(module(torch.tensor(x.transpose(0, 3, 1, 2))).logits.double(), 1)
    expected = (torch.log(p) - torch.log1p(-p)).numpy()
    found = score_images(scorer, picture, crops=1, chunk=2)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_labels_that_hold_independently_are_stated(folder):
    change(folder, problem_type="multi_label_classification")
    assert load(f"hf:{folder}").multilabel


def test_folders_that_are_refused(folder, tmp_path):
    change(folder, auto_map={"AutoModelForImageClassification": "own.Net"})
    refused("wants to run code of its own", f"hf:{folder}")
    change(folder, auto_map=None, architectures=["ResNetModel"])
    path = folder / "config.json"
    facts = json.loads(path.read_text())
    del facts["auto_map"]
    path.write_text(json.dumps(facts))
    refused("has no head that scores pictures: it is ResNetModel", f"hf:{folder}")
    change(folder, architectures=["ResNetForImageClassification"], num_labels=9)
    refused("does not fit", f"hf:{folder}")
    (folder / "model.safetensors").unlink()
    refused("has no model.safetensors or pytorch_model.bin: put it there", f"hf:{folder}")
    (folder / "config.json").write_text("{")
    refused("cannot be read", f"hf:{folder}")
    refused("no such folder", f"hf:{tmp_path / 'absent'}")


def test_flags_that_do_not_fit_are_one_sentence(vision):
    refused("--layout nhwc", NAME, "random", layout="nhwc")
    refused("--output b", NAME, "random", output="b")
    refused("--retries 3 is for a network behind an address", NAME, "random", retries=3)
    with pytest.raises(UserError, match="runs with auto, jax, torch only"):
        load_scorer(NAME, weights="random", picture=PictureSettings(engine="onnxruntime"))
