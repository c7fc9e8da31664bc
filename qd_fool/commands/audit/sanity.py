"""Probes and preprocessings: a look at the classifier before anything is searched.

Wrong means, channel order or scale raise no error. They cost accuracy, and show as another
preprocessing of the same photographs that does better.
"""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.ndimage
import scipy.stats
from jaxtyping import Bool, UInt8

from qd_fool.commands.audit.photographs import Labelled, evenly
from qd_fool.judge.audit.report import THRESHOLDS, Preprocessing, Probe
from qd_fool.judge.detectors import log_odds_of_logits
from qd_fool.judge.intervals import share_value
from qd_fool.models.means import CAFFE_MEAN, IMAGENET_MEAN, IMAGENET_STD
from qd_fool.models.network import SingleNetwork, default_chunk
from qd_fool.models.scorer import Scorer
from qd_fool.models.sides import sides_of
from qd_fool.scoring.confidence import confidence_of
from qd_fool.scoring.logits import LogitsFunction, logits_function

PICTURES = 200
"""Number of pictures per probe, and of photographs per preprocessing."""

GRID = 4
"""Patches per side of a shuffled photograph."""

LEAST_GAIN = 0.02
"""Least gain in accuracy that is worth a warning."""

ALPHA = 0.01
"""Highest probability of such a gain by chance, over all preprocessings together."""

Images = UInt8[np.ndarray, "n height width channels"]


def probe_pictures(
    shape: tuple[int, int, int], photographs: Labelled | None
) -> Iterator[tuple[str, str, Images]]:
    """Yield name, description and pictures of each probe.

    Args:
      shape: Shape of a picture, `(height, width, channels)`.
      photographs: Photographs, whose patches are shuffled; None leaves this probe out.
    """
    height, width, channels = shape
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (PICTURES, *shape), dtype=np.uint8)
    yield "noise", "pictures of uniform noise", noise

    colours = rng.integers(0, 256, (PICTURES, 1, 1, channels), dtype=np.uint8)
    yield "constant", "pictures of one colour", np.broadcast_to(colours, noise.shape).copy()

    # Blurred noise, stretched to the whole range of pixels.
    sigma = (0, height / 12, width / 12, 0)
    smooth = scipy.ndimage.gaussian_filter(
        rng.normal(size=noise.shape).astype(np.float32), sigma, mode="wrap"
    )
    low, high = (f(smooth, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    blobs = ((smooth - low) / (high - low) * 255).round().astype(np.uint8)
    yield "blobs", "pictures of Gaussian blobs", blobs

    if photographs is not None:
        chosen = photographs.images[evenly(len(photographs.images), PICTURES)]
        words = f"photographs whose {GRID}x{GRID} patches are shuffled"
        yield "patches", words, np.stack([_shuffled(image, rng) for image in chosen])


def _shuffled(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A photograph with its patches in another order; a rest at the border stays."""
    high, wide = image.shape[0] // GRID, image.shape[1] // GRID
    result, order = image.copy(), rng.permutation(GRID * GRID)
    for place, source in enumerate(order.tolist()):
        (y, x), (v, u) = divmod(place, GRID), divmod(source, GRID)
        patch = image[v * high : (v + 1) * high, u * wide : (u + 1) * wide]
        result[y * high : (y + 1) * high, x * wide : (x + 1) * wide] = patch
    return result


def probe(
    name: str,
    words: str,
    logits: np.ndarray,
    labels: tuple[str, ...],
    *,
    multilabel: bool = False,
) -> Probe:
    """Judge the classifier's answers to a probe.

    Args:
      name: Name of the probe.
      words: Description of the pictures.
      logits: `(n, classes)` answers.
      labels: Names of the classes.
      multilabel: Whether each class is a label that holds independently of the others.
    """
    odds = log_odds_of_logits(logits, multilabel=multilabel)
    confidence = confidence_of(odds.max(axis=1))
    at = int(confidence.argmax())
    return Probe(
        name=name,
        words=words,
        pictures=len(confidence),
        median=float(np.median(confidence)),
        highest=float(confidence[at]),
        label=labels[int(odds[at].argmax())],
        shares=tuple(share_value((confidence >= t)[None]) for t in THRESHOLDS),
    )


@dataclasses.dataclass(frozen=True)
class Alternative:
    """A preprocessing that the classifier may have been trained with.

    Attributes:
      name: Description for people.
      order: Order of the channels.
      scale: Factor per channel, after reordering.
      shift: Summand per channel, after scaling.
    """

    name: str
    order: tuple[int, ...]
    scale: tuple[float, ...]
    shift: tuple[float, ...]


def alternatives(channels: int) -> list[Alternative]:
    """Usual preprocessings of pixels in 0..255, for one channel or three.

    Args:
      channels: Number of channels.
    """
    mean, std = np.asarray(IMAGENET_MEAN), np.asarray(IMAGENET_STD)
    kinds: list[tuple[str, Any, Any]] = [
        ("pixels in 0..255", 1.0, 0.0),
        ("pixels / 255", 1 / 255, 0.0),
        ("pixels / 127.5 - 1", 1 / 127.5, -1.0),
    ]
    orders: list[tuple[str, tuple[int, ...]]] = [("", (0,))]
    if channels == 1:
        kinds += [
            ("1 - pixels / 255", -1 / 255, 1.0),
            ("(pixels / 255 - .1307) / .3081, MNIST's mean", 1 / 255 / 0.3081, -0.1307 / 0.3081),
        ]
    else:
        kinds.append(("torchvision's mean and std", 1 / 255 / std, -mean / std))
        orders = [("RGB, ", (0, 1, 2)), ("BGR, ", (2, 1, 0))]
    found = []
    for prefix, order in orders:
        for name, scale, shift in kinds:
            a, b = (tuple(map(float, np.broadcast_to(v, channels))) for v in (scale, shift))
            found.append(Alternative(prefix + name, order, a, b))
        if channels == 3:
            minus = tuple(-float(v) for v in CAFFE_MEAN)
            minus = minus if order == (2, 1, 0) else minus[::-1]
            found.append(Alternative(f"{prefix}minus Caffe's mean", order, (1.0,) * 3, minus))
    return found


def compare_preprocessings(
    scorer: SingleNetwork, photographs: Labelled, usual: Bool[np.ndarray, " n"]
) -> tuple[Preprocessing, ...]:
    """Measure the accuracy with other preprocessings of the same photographs.

    Args:
      scorer: The classifier.
      photographs: Photographs with their classes.
      usual: Whether the classifier's own preprocessing classifies each photograph correctly.

    Returns:
      All preprocessings, the best first.
    """
    chosen = evenly(len(photographs.images), PICTURES)
    images, labels = photographs.images[chosen], photographs.labels[chosen]
    found = [
        _preprocessing(name, answer(images).argmax(axis=1) == labels, usual[chosen])
        for name, answer in _answers(scorer)
    ]
    return tuple(sorted(found, key=lambda each: -each.accuracy))


def warning_of(preprocessings: tuple[Preprocessing, ...]) -> str | None:
    """A sentence if another preprocessing does better, and not by chance."""
    if not preprocessings:
        return None
    best = preprocessings[0]
    if best.accuracy - best.usual < LEAST_GAIN or best.p * len(preprocessings) >= ALPHA:
        return None
    return (
        f"Another preprocessing of the same photographs does better: with {best.name}, the "
        f"accuracy on {best.photographs} photographs is {best.accuracy:.1%} instead of "
        f"{best.usual:.1%}. "
        "Check means, scale and order of channels; all results below are those of the given "
        "preprocessing."
    )


def _preprocessing(
    name: str, right: Bool[np.ndarray, " n"], usual: Bool[np.ndarray, " n"]
) -> Preprocessing:
    gains, losses = int((right & ~usual).sum()), int((usual & ~right).sum())
    p = 1.0
    if gains + losses:
        p = float(scipy.stats.binomtest(gains, gains + losses, alternative="greater").pvalue)
    return Preprocessing(name, len(right), float(right.mean()), float(usual.mean()), p)


def _answers(scorer: SingleNetwork) -> Iterator[tuple[str, LogitsFunction]]:
    """Each preprocessing, and the function that gives the logits with it."""
    channels = scorer.image_shape[2]
    answer_usual = logits_function(scorer, chunk=default_chunk(scorer))
    if not isinstance(scorer, Scorer) or not _takes_pixels(scorer):
        if channels == 3:
            yield "channels in reverse order", lambda images: answer_usual(images[..., ::-1])
        yield "inverted pixels", lambda images: answer_usual(255 - images)
        return
    # The numbers of a preprocessing are parameters, so that one program serves all.
    kinds = alternatives(channels)
    params = {
        each.name: (
            scorer.params,
            jnp.asarray(each.order, jnp.int32),
            jnp.asarray(each.scale, jnp.float32),
            jnp.asarray(each.shift, jnp.float32),
        )
        for each in kinds
    }
    changed = dataclasses.replace(
        scorer,
        params=params[kinds[0].name],
        apply=_with_preprocessing(scorer),
        preprocess=lambda x: x,
    )
    answer = logits_function(changed, chunk=default_chunk(scorer))
    for name, given in params.items():
        yield name, partial(answer, params=given)


def _with_preprocessing(scorer: Scorer) -> Callable[..., jnp.ndarray]:
    def apply(params: tuple, x: jnp.ndarray) -> jnp.ndarray:
        inner, order, scale, shift = params
        x = jnp.take(x, order, axis=-1) * scale[None, None, None] + shift[None, None, None]
        return scorer.apply(inner, x)

    return apply


def _takes_pixels(scorer: Scorer) -> bool:
    """Whether the preprocessing keeps the number of channels, so that another can replace it."""
    high, wide = sides_of(scorer.input_size)
    probe = jnp.zeros((1, high, wide, scorer.image_shape[2]), jnp.float32)
    return scorer.preprocess(probe).shape == probe.shape
