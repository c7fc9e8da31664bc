"""`keras:FILE`: files of Keras 3 and 2 as JAX functions, beside Keras itself."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("h5py", reason="files of Keras")
os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras", reason="files of Keras")

from qd_fool.errors import UserError  # noqa: E402
from qd_fool.models.foreign.settings import PictureSettings  # noqa: E402
from qd_fool.models.load import load_scorer  # noqa: E402
from qd_fool.scoring.confidence import confidence_of  # noqa: E402
from qd_fool.scoring.log_odds import log_odds  # noqa: E402
from qd_fool.scoring.score import score_images  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras warns about its older format

SHAPE = (10, 12, 3)
LAYERS = keras.layers


def model(*tail, shape=SHAPE, head=()):
    """A convolution, batch normalisation with real statistics, and a dense layer."""
    keras.utils.set_random_seed(0)
    built = keras.Sequential(
        [
            keras.Input(shape),
            *head,
            LAYERS.Conv2D(6, 3, strides=2),
            LAYERS.BatchNormalization(),
            LAYERS.ReLU(),
            LAYERS.Flatten(),
            LAYERS.Dropout(0.5),
            *(tail or (LAYERS.Dense(4, activation="softmax"),)),
        ]
    )
    norm = next(layer for layer in built.layers if "normalization" in layer.name)
    norm.moving_mean.assign(np.linspace(-0.2, 0.2, 6))
    norm.moving_variance.assign(np.linspace(0.5, 2, 6))
    return built


def read(built, tmp_path, suffix=".keras", **flags):
    path = tmp_path / f"net{suffix}"
    built.save(path)
    return load_scorer(f"keras:{path}", picture=PictureSettings(**flags))


def own(built, x):
    """What Keras itself gives for float32 pictures."""
    with jax.numpy_rank_promotion("allow"):
        return built.predict(x, verbose=0)


def pictures(shape=SHAPE, n=3):
    return np.random.default_rng(1).integers(0, 256, (n, *shape), dtype=np.uint8)


def confidence(scorer, images):
    return confidence_of(score_images(scorer, images, crops=1, chunk=2))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_confidences_are_keras_s_own(suffix, tmp_path):
    built = model()
    scorer = read(built, tmp_path, suffix, mean="127.5", std="64")
    x = (pictures().astype(np.float32) - 127.5) / 64
    expected = own(built, x)
    np.testing.assert_allclose(confidence(scorer, pictures()), expected, atol=1e-5)
    assert (scorer.image_shape, scorer.input_size) == (SHAPE, (10, 12))
    assert len(scorer.weights_sha256) == 64
    assert len(jax.tree.leaves(scorer.params)) == 9  # 2 + 4 + 2, and the dropout's random numbers


@pytest.mark.parametrize(
    "tail",
    [
        (LAYERS.Dense(4), LAYERS.Softmax()),
        (LAYERS.Dense(4), LAYERS.Activation("softmax")),
        (keras.Sequential([LAYERS.Dense(5), LAYERS.Dense(4, activation="softmax")]),),
    ],
    ids=["layer", "activation", "within"],
)
def test_the_logits_before_a_softmax_are_searched(tail, tmp_path):
    built = model(*tail)
    scorer = read(built, tmp_path)
    np.testing.assert_allclose(
        confidence(scorer, pictures()),
        own(built, pictures().astype(np.float32) / 255),
        atol=1e-5,
    )
    logits = scorer.apply(scorer.params, scorer.preprocess(jnp.asarray(pictures(), jnp.float32)))
    assert np.abs(np.exp(logits).sum(axis=1) - 1).max() > 1e-3


def test_sigmoids_are_labels_and_one_is_two_classes(tmp_path):
    several = model(LAYERS.Dense(4, activation="sigmoid"))
    x = pictures().astype(np.float32) / 255
    scorer = read(several, tmp_path)
    assert scorer.multilabel
    expected = own(several, x)
    np.testing.assert_allclose(confidence(scorer, pictures()), expected, atol=1e-5)
    single = model(LAYERS.Dense(1, activation="sigmoid"))
    found = confidence(read(single, tmp_path), pictures())
    np.testing.assert_allclose(found[:, 1:], own(single, x), atol=1e-5)


def test_bytes_stay_bytes_for_a_model_that_scales_them(tmp_path):
    built = model(head=(LAYERS.Rescaling(1 / 127.5, offset=-1),))
    expected = own(built, pictures().astype(np.float32))
    found = confidence(read(built, tmp_path), pictures())
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_pictures_have_gradients(tmp_path):
    scorer = read(model(), tmp_path)
    images = jnp.asarray(pictures(), jnp.float32)

    def total(x):
        return log_odds(scorer, scorer.params, x)[:, 1].sum()

    gradient = jax.jit(jax.grad(total))(images)
    step = 0.5 * gradient / jnp.linalg.norm(gradient)
    found = float(total(images + step) - total(images - step))
    assert found == pytest.approx(float(2 * (step * gradient).sum()), rel=0.02)


def test_sizes_that_the_file_leaves_open(tmp_path):
    layers = [LAYERS.Conv2D(4, 3), LAYERS.GlobalAveragePooling2D(), LAYERS.Dense(4)]
    built = keras.Sequential([keras.Input((None, None, 1)), *layers])
    scorer = read(built, tmp_path, input_size="8x9")
    assert scorer.image_shape == (8, 9, 1)
    with pytest.raises(UserError, match="say so with --input-size"):
        read(built, tmp_path)


def test_what_does_not_fit_is_one_sentence(tmp_path):
    built = model()
    for flags, sentence in (
        ({"input_size": 9}, "--input-size 9x9: the network of .* takes 10x12 pixels"),
        ({"outputs": "label-probabilities"}, "ends in a Softmax"),
        ({"output": "b"}, "the outputs of .* are"),
        ({"labels": tmp_path / "absent"}, "cannot be read"),
        ({"engine": "torch"}, "--engine torch is for ONNX files and modules of PyTorch"),
    ):
        with pytest.raises(UserError, match=sentence) as caught:
            read(built, tmp_path, **flags)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"numbers of shape .* come out"):
        read(keras.Sequential([keras.Input(SHAPE), LAYERS.Conv2D(4, 3)]), tmp_path)
    code = model(LAYERS.Lambda(lambda x: x), LAYERS.Dense(4))
    for suffix in (".keras", ".h5"):
        with pytest.raises(UserError, match="a Lambda layer, which is code"):
            read(code, tmp_path, suffix)
    (tmp_path / "bad.h5").write_bytes(b"not a network")
    with pytest.raises(UserError, match=r"bad.h5: Keras does not take it"):
        load_scorer(f"keras:{tmp_path / 'bad.h5'}")
    with pytest.raises(UserError, match=r"expected a file of Keras that ends in"):
        load_scorer(f"keras:{__file__}")
