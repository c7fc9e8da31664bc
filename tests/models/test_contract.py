"""One suite for all networks of the zoo, on random weights: registering one tests it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.weights import random_flat
from quick import quick_jit

from qd_fool.errors import UserError
from qd_fool.models import ZOO, load_scorer
from qd_fool.models.load import make_scorer
from qd_fool.models.origin import Shipped
from qd_fool.scoring.confidence import confidence_of
from qd_fool.scoring.log_odds import log_odds

# One network per architecture is enough here; the logits of the others are compared with PyTorch's
# and NumPy's elsewhere.
SELDOM = {
    "alexnet",
    "lenet-b",
    "efficientnet-lite1",
    "efficientnet-lite2",
    "squeezenet1.0",
    "squeezenet1.0-caffe",
    "squeezenet1.1",
    "bvlc-alexnet",
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(n, marks=[pytest.mark.long] if n in SELDOM else []) for n in ZOO],
)
def network(request):
    """A scorer, its jitted `(params, images) -> log-odds`, and three pictures with their scores."""
    entry = ZOO[request.param]
    scorer = make_scorer(entry, random_flat(entry), source="random")
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.integers(0, 256, (3, *scorer.image_shape)), jnp.uint8)
    score = quick_jit(lambda p, x: log_odds(scorer, p, x))
    return scorer, score, images, np.asarray(score(scorer.params, images), np.float64)


def test_scores_have_a_column_a_class_and_are_finite(network):
    scorer, _, _, scores = network
    assert scores.shape == (3, len(scorer.class_names))
    assert np.isfinite(scores).all()


def test_confidences_add_up_to_one(network):
    *_, scores = network
    np.testing.assert_allclose(confidence_of(scores).sum(axis=1), 1, atol=1e-5)


def test_pictures_matter(network):
    *_, scores = network
    assert len(np.unique(scores.round(4), axis=0)) == 3


def test_parameters_are_an_argument(network):
    """Other parameters, other scores, with the same compiled function."""
    scorer, score, images, scores = network
    zeros = jax.tree.map(jnp.zeros_like, scorer.params)
    assert not np.allclose(scores, score(zeros, images))
    assert score._cache_size() == 1


# The smallest of each: the sizes of one have the same code, and each takes long to compile.
BY_SIZE = sorted(ZOO, key=lambda name: ZOO[name].parameters, reverse=True)
ARCHITECTURES = {getattr(ZOO[name].apply, "func", ZOO[name].apply): name for name in BY_SIZE}


@pytest.mark.parametrize(
    "name",
    [
        # AlexNet's layers, in small: `architectures/test_layers.py`.
        pytest.param(
            n, marks=[pytest.mark.long] if n in ("alexnet", "caffenet", "bvlc-alexnet") else []
        )
        for n in ARCHITECTURES.values()
    ],
)
def test_gradient_reaches_the_picture(name):
    scorer = make_scorer(ZOO[name], random_flat(ZOO[name]), source="random")
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.integers(0, 256, (1, *scorer.image_shape)), jnp.float32)
    gradient = quick_jit(jax.grad(lambda x, p: log_odds(scorer, p, x)[0, 0]))(x, scorer.params)
    assert np.isfinite(gradient).all()
    assert np.any(gradient != 0)


@pytest.fixture(params=list(ZOO))
def entry(request):
    return ZOO[request.param]


def test_facts_are_stated(entry):
    facts = (entry.architecture, entry.source, entry.licence, entry.preprocessing, entry.accuracy)
    assert all(facts)
    assert min(entry.image_shape[:2]) >= entry.input_size
    trained = {k: s for k, s in entry.shapes.items() if ".running_" not in k}
    assert sum(int(np.prod(shape)) for shape in trained.values()) == entry.parameters


def test_weights_of_another_network_are_refused_by_name(entry):
    flat = {k: np.broadcast_to(np.float32(0.5), shape) for k, shape in entry.shapes.items()}
    first = next(iter(entry.shapes))
    family = entry.name.removesuffix("-caffe").removesuffix("-b") + " expects"
    spoilt = flat | {first: np.full_like(flat[first], np.nan)}
    with pytest.raises(UserError, match=f"^odd: {first} holds NaN"):
        make_scorer(entry, spoilt, source="odd")
    lacking = {name: array for name, array in flat.items() if name != first}
    with pytest.raises(UserError, match=f"^odd: no array '{first}', which {family}"):
        make_scorer(entry, lacking, source="odd")
    wrong = flat | {first: np.zeros((3, 2), np.float32)}
    with pytest.raises(UserError, match=rf"^odd: {first} has shape \(3, 2\), {family}"):
        make_scorer(entry, wrong, source="odd")


@pytest.mark.parametrize("name", [n for n in ZOO if isinstance(ZOO[n].origin, Shipped)])
def test_shipped_weights_load(name):
    scorer = load_scorer(name)
    assert len(scorer.weights_sha256) == 64
    assert sum(leaf.size for leaf in jax.tree.leaves(scorer.params)) == ZOO[name].parameters


def test_unknown_model_is_told_with_those_there_are():
    with pytest.raises(UserError, match="unknown model 'vgg': expected one of lenet, lenet-b"):
        load_scorer("vgg")
