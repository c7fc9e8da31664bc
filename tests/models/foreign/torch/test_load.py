"""`from_torch`: scores, gradients and facts of small modules, beside PyTorch itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="modules of PyTorch")

from torch_modules import CLASSES, HEIGHT, WIDTH, pictures, small  # noqa: E402

from qd_fool import MapElitesConfig, ascend, evolve, from_torch, make_encoding  # noqa: E402
from qd_fool.ascent.config import AscentConfig  # noqa: E402
from qd_fool.emitters import GradientSettings, Share, VariationSettings  # noqa: E402
from qd_fool.errors import UserError  # noqa: E402
from qd_fool.models.foreign.torch import module as torch_module  # noqa: E402
from qd_fool.models.host_scorer import HostScorer  # noqa: E402
from qd_fool.models.scorer import Scorer  # noqa: E402
from qd_fool.scoring.confidence import confidence_of  # noqa: E402
from qd_fool.scoring.host import HostScoring  # noqa: E402
from qd_fool.scoring.logits import logits_function  # noqa: E402
from qd_fool.scoring.score import score_images  # noqa: E402

SIZE = (HEIGHT, WIDTH)
MEAN, STD = (100.0, 110.0, 120.0), (50.0, 60.0, 70.0)


def made(module=None, **settings):
    facts = {"input_size": SIZE, "mean": MEAN, "std": STD, "chunk": 4}
    return from_torch(small() if module is None else module, **facts | settings)


def scores(scorer, images=None):
    return score_images(scorer, pictures() if images is None else images, crops=1, chunk=4)


def expected_logits(module, images, mean=MEAN, std=STD):
    """The logits, normalised in PyTorch."""
    x = torch.tensor(images.astype(np.float32)).permute(0, 3, 1, 2)
    shape = (1, -1, 1, 1)
    with torch.no_grad():
        return module((x - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape))


def odds(logits):
    p = torch.softmax(logits.double(), 1)
    return (torch.log(p) - torch.log1p(-p)).numpy()


def test_scores_are_those_of_the_module():
    scorer = made()
    assert isinstance(scorer, HostScorer)
    expected = odds(expected_logits(small(), pictures()))
    np.testing.assert_allclose(scores(scorer), expected, atol=1e-4)
    assert (scorer.image_shape, scorer.input_size) == ((HEIGHT, WIDTH, 3), SIZE)
    assert "by PyTorch" in scorer.weights
    assert scorer.weights_sha256 == made().weights_sha256


def test_pictures_are_handed_over_without_a_copy():
    scorer, seen = made(), []
    scorer.score.__self__.module.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    shown = HostScoring(scorer, crops=1).show(jnp.asarray(pictures()))[0]
    scorer.score(scorer.hand(shown)[0])
    assert seen[0].data_ptr() == shown.unsafe_buffer_pointer()
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


def test_a_module_that_writes_into_its_pictures_writes_into_a_copy():
    class Writes(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rest = small()

        def forward(self, x):
            return self.rest(x.mul_(2))

    scorer = made(Writes())
    scoring = HostScoring(scorer, crops=1)
    shown = scoring.show(jnp.asarray(pictures()))
    before = np.array(shown[0])
    first = scoring.ask((), shown, 3)[0]
    slopes = [scorer.gradient(scorer.hand(shown[0])[0], np.ones((3, 5), np.float32))] * 2
    np.testing.assert_array_equal(np.asarray(shown[0]), before)
    np.testing.assert_array_equal(scoring.ask((), shown, 3)[0], first)
    np.testing.assert_array_equal(*slopes)


def test_gradients_are_autograd_s_and_reach_the_pictures():
    scorer, images = made(), pictures()
    scoring = HostScoring(scorer, crops=1)
    shown = scoring.show(jnp.asarray(images))
    answers = scoring.ask((), shown, 3)
    shares = jax.grad(lambda a: scoring.joined(a)[0][:, 2].sum())(answers)
    found = scoring.image_gradient((), jnp.asarray(images), shown, shares)

    x = torch.tensor(images, dtype=torch.float32, requires_grad=True)
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    logits = small()(((x - mean) / std).permute(0, 3, 1, 2))
    p = torch.softmax(logits, 1)[:, 2]
    (torch.log(p) - torch.log1p(-p)).sum().backward()
    np.testing.assert_allclose(found, x.grad.numpy(), rtol=1e-3, atol=1e-7)


def test_gradients_in_parts_leave_the_parameters_as_they_were(monkeypatch):
    module = small()
    module[0].weight.requires_grad_(False)
    scorer = made(module)
    shown = HostScoring(scorer, crops=1).show(jnp.asarray(pictures(5)))[0]
    weights = np.random.default_rng(0).normal(size=(5, CLASSES)).astype(np.float32)
    whole = scorer.gradient(scorer.hand(shown)[0], weights)
    monkeypatch.setattr(torch_module, "AT_ONCE", 2)
    parts = scorer.gradient(scorer.hand(shown)[0], weights)
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-8)
    assert [p.requires_grad for p in module.parameters()] == [False] + [True] * 5
    assert all(p.grad is None for p in module.parameters())


def test_logits_for_an_audit_are_the_module_s():
    scorer = made()
    found = logits_function(scorer, chunk=4)(pictures(5))
    np.testing.assert_allclose(found, expected_logits(small(), pictures(5)).numpy(), atol=1e-5)


@pytest.mark.parametrize("channels", ["bgr", "gray"])
def test_channels(channels):
    depth = 1 if channels == "gray" else 3
    scorer = made(channels=channels)
    images = pictures(channels=depth)
    given = np.repeat(images, 3, axis=3) if depth == 1 else images[..., ::-1]
    expected = odds(expected_logits(small(), given))
    np.testing.assert_allclose(scores(scorer, images), expected, atol=1e-4)


def test_a_gray_module_is_known_by_its_first_convolution():
    scorer = from_torch(small(channels=1), input_size=SIZE)
    assert (scorer.image_shape, scorer.mean) == ((HEIGHT, WIDTH, 1), (0.0,))
    expected = odds(expected_logits(small(channels=1), pictures(channels=1), (0.0,), (255.0,)))
    np.testing.assert_allclose(scores(scorer, pictures(channels=1)), expected, atol=1e-4)


def test_probabilities_labels_and_one_number():
    soft = made(small(torch.nn.Softmax(1)))
    np.testing.assert_allclose(
        confidence_of(scores(soft)), confidence_of(scores(made())), atol=1e-5
    )
    labels = made(outputs="label-logits")
    p = torch.sigmoid(expected_logits(small(), pictures())).numpy()
    np.testing.assert_allclose(confidence_of(scores(labels)), p, atol=1e-5)
    one = made(small(classes=1), class_names=["cat"], outputs="logits")
    assert one.class_names == ("not cat", "cat")


@pytest.mark.parametrize("kind", ["tuple", "mapping"])
def test_one_of_several_outputs_is_read(kind):
    class Several(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rest = small()

        def forward(self, x):
            found = self.rest(x)
            return (found, 2 * found) if kind == "tuple" else {"a": found, "b": 2 * found}

    names = "0, 1" if kind == "tuple" else "a, b"
    with pytest.raises(UserError, match=f"returns {names}: choose one with --output NAME"):
        made(Several())
    with pytest.raises(UserError, match=f"--output c: the outputs of Several are {names}"):
        made(Several(), output="c")
    scorer = made(Several(), output=names[-1])
    expected = odds(2 * expected_logits(small(), pictures()))
    np.testing.assert_allclose(scores(scorer), expected, atol=1e-4)


def test_jax_runs_the_module_by_way_of_onnx():
    pytest.importorskip("onnx", reason="the way")
    for module in (small(), small(torch.nn.Softmax(1)), small(classes=1)):
        outputs = "logits" if module[-1].__class__ is torch.nn.Linear else "auto"
        native = made(module, engine="jax", outputs=outputs)
        assert isinstance(native, Scorer)
        assert "in JAX by way of ONNX (numbers differ by" in native.weights
        host = made(module, outputs=outputs)
        np.testing.assert_allclose(scores(native), scores(host), atol=1e-3)
        for fact in ("image_shape", "input_size", "class_names", "mean", "weights_sha256"):
            assert getattr(native, fact) == getattr(host, fact)


def test_what_jax_cannot_run_is_refused_and_left_to_pytorch():
    class Moody(torch.nn.Module):
        """Tracing notes the numbers of one call, and the next call has others."""

        calls = 0

        def __init__(self):
            super().__init__()
            self.rest = small()

        def forward(self, x):
            Moody.calls += 1
            return self.rest(x) * (1 + Moody.calls % 7)

    pytest.importorskip("onnx", reason="the way")
    with pytest.raises(UserError, match=r"JAX does not take it .*: --engine torch"):
        made(Moody(), engine="jax")
    assert isinstance(made(Moody(), engine="auto"), HostScorer)


def test_it_evolves_with_gradients_and_ascends():
    scorer = made()
    encoding = make_encoding("direct", scorer.image_shape)
    shares = (
        Share("variation", 1.0, VariationSettings()),
        Share("gradient", 1.0, GradientSettings(steps=2)),
    )
    config = MapElitesConfig(batch_size=8, chunk=4, emitters=shares)
    states = [evolve(scorer, encoding, generations=n, config=config) for n in (1, 4)]
    first, last = (np.asarray(state.archive.fitness) for state in states)
    assert (last > first + 0.05).all()
    steps = AscentConfig(iterations=5, rule="adam", lr=8.0)
    result = ascend(scorer, encoding, classes=range(CLASSES), config=steps)
    assert (np.asarray(result.log_odds[:, -1]) > np.asarray(result.log_odds[:, 0])).all()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"module": np.zeros}, "expected a torch.nn.Module"),
        ({"module": small(channels=4)}, "takes 4 channels: expected 1 or 3"),
        ({"module": small()[:2]}, r"array of shape \(3, 8, 4, 5\)"),
        ({"input_size": 1}, "failed: RuntimeError"),
        ({"engine": "onnxruntime"}, "--engine is 'onnxruntime'"),
        ({"class_names": ["a"]}, "1 labels: the network of"),
        ({"mean": (1, 2)}, "--mean: 2 numbers"),
        ({"chunk": 0}, "chunk is 0"),
        ({"outputs": "probabilities"}, "a probability is between 0 and 1"),
    ],
)
def test_what_does_not_fit_is_one_sentence(settings, sentence):
    with pytest.raises(UserError, match=sentence):
        made(**settings)
