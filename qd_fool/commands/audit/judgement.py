"""The report of an audit, from the classifier's answers and the run directories of the searches."""

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import scipy.special
from jaxtyping import Float

from qd_fool.commands.audit.fooling import (
    FoolingSet,
    confidence_in_target,
    pictures_of,
    read_pictures,
)
from qd_fool.commands.audit.photographs import Labelled
from qd_fool.commands.audit.sanity import compare_preprocessings
from qd_fool.commands.audit.searches import Stage, read_search
from qd_fool.commands.audit.subject import AuditSubject
from qd_fool.judge.audit.fooled import (
    fooled_by_search,
    fooled_by_showing,
    weakest_and_strongest,
)
from qd_fool.judge.audit.report import (
    Method,
    Photographs,
    Picture,
    Preprocessing,
    Probe,
)
from qd_fool.judge.calibration import expected_calibration_error, fit_temperature, reliability
from qd_fool.judge.detectors import (
    NEED_LOGITS,
    detector_scores,
    log_odds_of_logits,
)
from qd_fool.judge.intervals import Value, bootstrap_value, share_value
from qd_fool.judge.separation import Separation, separation
from qd_fool.judge.statistics import LEVEL
from qd_fool.scoring.confidence import confidence_of

LEAST_PICTURES = 5
"""Lowest number of fooling pictures to judge detectors on."""

NO_LOGITS = 1e-3
"""Largest energy of a classifier that gives probabilities: their logarithms add up to about 0."""

WORDS = {
    ("cppn", True): "evolved with the CPPN encoding, preset fast: no gradients",
    ("cppn", False): "evolved with the CPPN encoding, preset fast: no gradients",
    ("direct", True): "evolved with the direct encoding, preset fast: some offspring climb the "
    "gradient",
    ("direct", False): "evolved with the direct encoding, preset fast without gradients",
    ("gradient", True): "climbs the gradient from noise around the network's mean colour",
}
"""What each method does, for people, with and without a gradient."""


@dataclasses.dataclass(frozen=True, eq=False)
class Sanity:
    """The classifier before anything is searched.

    Attributes:
      photographs: Photographs with their classes, or None.
      logits: Answers to the photographs, or None.
      report: Figures about the photographs, or None.
      preprocessings: Other preprocessings, the best first.
      probes: Figures about pictures that show nothing.
      gives_logits: Whether the classifier gives logits, and not probabilities only.
    """

    photographs: Labelled | None
    logits: Float[np.ndarray, "n classes"] | None
    report: Photographs | None
    preprocessings: tuple[Preprocessing, ...]
    probes: tuple[Probe, ...]
    gives_logits: bool


def judge_photographs(
    labelled: Labelled, logits: Float[np.ndarray, "n classes"], *, multilabel: bool = False
) -> Photographs:
    """Judge accuracy and calibration.

    Args:
      labelled: Photographs with their classes.
      logits: Answers to them.
      multilabel: Whether each class is a label that holds independently of the others.
    """
    right = logits.argmax(axis=1) == labelled.labels
    odds_of = partial(log_odds_of_logits, multilabel=multilabel)
    confidence = confidence_of(odds_of(logits).max(axis=1))

    # Every second photograph fits the temperature, the others measure its effect.
    temperature = fit_temperature(logits[::2], labelled.labels[::2], multilabel=multilabel)
    scaled = confidence_of(odds_of(np.asarray(logits[1::2], np.float64) / temperature).max(axis=1))
    ece = expected_calibration_error(confidence, right)
    after = expected_calibration_error(scaled, right[1::2]) if len(scaled) else ece
    return Photographs(
        words=labelled.words,
        sha256=labelled.sha256,
        count=len(right),
        accuracy=share_value(right[None]),
        confidence=bootstrap_value(confidence, np.mean),
        ece=_ece_value(confidence, right),
        temperature=temperature,
        ece_scaled=after,
        bins=reliability(confidence, right),
        right=np.packbits(right).tobytes().hex(),
    )


def _ece_value(confidence: np.ndarray, right: np.ndarray, *, samples: int = 500) -> Value:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(right), (samples, len(right)))
    found = [expected_calibration_error(confidence[i], right[i]) for i in rows]
    value = expected_calibration_error(confidence, right)
    # A resampled error is too large by the noise of its bins; the interval is shifted back.
    shift = value - float(np.mean(found))
    low, high = np.percentile(found, [50 * (1 - LEVEL), 50 * (1 + LEVEL)]) + shift
    return Value(value, max(0.0, min(value, float(low))), max(value, float(high)))


def look_at_preprocessings(
    subject: AuditSubject, logits: Float[np.ndarray, "n classes"]
) -> tuple[Preprocessing, ...]:
    """Measure other preprocessings on the subject's photographs.

    Args:
      subject: Classifier with photographs.
      logits: Answers to the photographs with the classifier's own preprocessing.
    """
    labelled = subject.photographs
    assert isinstance(labelled, Labelled)  # noqa: S101  # the caller has checked
    usual = logits.argmax(axis=1) == labelled.labels
    return compare_preprocessings(subject.scorer, labelled, usual)


def gives_logits(answers: Float[np.ndarray, "n classes"]) -> bool:
    """Whether answers are logits, and not logarithms of probabilities.

    Args:
      answers: Answers to pictures of noise.
    """
    return bool(np.abs(scipy.special.logsumexp(answers, axis=1)).max() > NO_LOGITS)


def searched_method(
    stages: list[Stage],
    out: Path,
    subject: AuditSubject,
    sanity: Sanity,
) -> tuple[Method, list[tuple[float, Picture]]]:
    """Judge the searches of one method.

    Args:
      stages: Finished searches, one per seed.
      out: Directory of the audit.
      subject: Classifier that is audited.
      sanity: The classifier before the searches.

    Returns:
      The result, and the fooling pictures with their log-odds, the most confident first.
    """
    first = stages[0]
    searches = tuple(read_search(stage, out) for stage in stages)
    ranked = [each for stage in stages for each in pictures_of(stage, out, subject)]
    ranked.sort(key=lambda each: (-each[0], each[1].class_index))
    detectors: dict[str, Separation] = {}
    judged = 0
    if ranked and sanity.report is not None:
        images = read_pictures(
            [picture for _, picture in ranked], out, channels=subject.scorer.image_shape[2]
        )
        detectors = judge_detectors(subject.logits(images), subject, sanity)
        judged = len(images)
    weakest, strongest = weakest_and_strongest(searches, first.classes)
    method = Method(
        name=first.method,
        kind="search",
        words=WORDS[first.method, subject.gradient],
        gradient=first.method == "gradient" or (first.method == "direct" and subject.gradient),
        classes=first.classes,
        searches=searches,
        fooled=fooled_by_search(searches, budget=first.evaluations),
        judged=judged,
        detectors=detectors,
        weakest=weakest,
        strongest=strongest,
    )
    return method, ranked


def shown_method(shown: FoolingSet, subject: AuditSubject, sanity: Sanity) -> Method:
    """Judge pictures that fooled another network.

    Args:
      shown: The pictures.
      subject: Classifier that is audited.
      sanity: The classifier before the searches.
    """
    logits = subject.logits(shown.images)
    odds = log_odds_of_logits(logits, multilabel=subject.scorer.multilabel)
    odds = confidence_in_target(odds, shown, unknown=subject.unknown)
    fools = odds >= 0.0
    detectors = {}
    if sanity.report is not None:
        detectors = judge_detectors(logits[fools], subject, sanity)
    goal = "their own class" if shown.targets is not None else "any class"
    return Method(
        name=shown.name,
        kind="shown",
        words=f"{shown.words}; counted if they claim {goal}",
        gradient=False,
        classes=(),
        searches=(),
        fooled=fooled_by_showing(confidence_of(odds)),
        judged=int(fools.sum()) if detectors else 0,
        detectors=detectors,
        weakest=(),
        strongest=(),
    )


def judge_detectors(
    logits: Float[np.ndarray, "m classes"], subject: AuditSubject, sanity: Sanity
) -> dict[str, Separation]:
    """Judge all detectors on photographs and one method's fooling pictures.

    The photographs are those that the temperature was not fitted to.

    Args:
      logits: Answers to the fooling pictures.
      subject: Classifier that is audited.
      sanity: The classifier before the searches.

    Returns:
      Results by name; empty if there are too few fooling pictures.
    """
    if len(logits) < LEAST_PICTURES or sanity.logits is None or sanity.photographs is None:
        return {}
    assert sanity.report is not None  # noqa: S101  # there are photographs
    detect = partial(
        detector_scores,
        temperature=sanity.report.temperature,
        unknown=subject.unknown,
        multilabel=subject.scorer.multilabel,
    )
    of_photographs = sanity.logits[1::2]
    right = of_photographs.argmax(axis=1) == sanity.photographs.labels[1::2]
    accepted, fooling = detect(of_photographs), detect(logits)
    return {
        name: separation(scores, fooling[name], right)
        for name, scores in accepted.items()
        if sanity.gives_logits or name not in NEED_LOGITS
    }
