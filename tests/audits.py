"""Audits made of numbers, without a classifier: for the tests of conditions and comparisons."""

import dataclasses

import numpy as np

from qd_fool.judge.audit.fooled import fooled_by_search, weakest_and_strongest
from qd_fool.judge.audit.report import (
    SCHEMA_VERSION,
    THRESHOLDS,
    AuditReport,
    Method,
    NetworkFacts,
    Photographs,
    Probe,
    Search,
    Settings,
)
from qd_fool.judge.calibration import reliability
from qd_fool.judge.intervals import Value, share_value
from qd_fool.judge.separation import separation

BUDGET = 1000


def search_of(first, seed=0, *, classes):
    """A search that fools each class at .99 after some evaluations; None for never."""
    never = np.inf
    first = [never if n is None else n for n in first]
    assert len(first) == classes
    rows = [
        [None if n == never else max(1, int(n * part)) for n in first] for part in (0.3, 0.6, 1)
    ]
    confidence = tuple(0.4 if n == never else 0.995 for n in first)
    odds = tuple(float(np.log(p / (1 - p))) for p in confidence)
    return Search(seed, f"cppn-{seed}", BUDGET, tuple(map(tuple, rows)), confidence, odds)


def method_of(firsts, *, name="cppn", detectors=True):
    classes = len(firsts[0])
    searches = tuple(search_of(first, seed, classes=classes) for seed, first in enumerate(firsts))
    rng = np.random.default_rng(0)
    found = {}
    if detectors:
        found = {"msp": separation(rng.normal(2, 1, 50), rng.normal(0, 1, 20), np.ones(50, bool))}
    return Method(
        name=name,
        kind="search",
        words="evolved",
        gradient=False,
        classes=tuple(range(classes)),
        searches=searches,
        fooled=fooled_by_search(searches, budget=BUDGET),
        judged=20,
        detectors=found,
        **dict(
            zip(
                ("weakest", "strongest"),
                weakest_and_strongest(searches, range(classes)),
                strict=True,
            )
        ),
    )


LOW_ERROR = Value(0.02, 0.01, 0.03)


def photographs_of(right, *, ece=LOW_ERROR):
    right = np.asarray(right, bool)
    confidence = np.full(len(right), 0.9)
    return Photographs(
        words=f"{len(right)} photographs",
        sha256="0" * 64,
        count=len(right),
        accuracy=share_value(right[None]),
        confidence=Value(0.9, 0.89, 0.91),
        ece=ece,
        temperature=1.0,
        ece_scaled=0.02,
        bins=reliability(confidence, right),
        right=np.packbits(right).tobytes().hex(),
    )


def audit_of(firsts, *, right=None, **changes):
    classes = len(firsts[0])
    report = AuditReport(
        schema_version=SCHEMA_VERSION,
        network=NetworkFacts(
            "made-up", "none", "", tuple("abcdefghij"[:classes]), None, False, True
        ),
        settings=Settings(BUDGET, len(firsts), {"cppn": BUDGET}),
        photographs=None if right is None else photographs_of(right),
        preprocessings=(),
        probes=(
            Probe("noise", "noise", 10, 0.3, 0.6, "a", (Value(0.1, 0.0, 0.3),) * len(THRESHOLDS)),
        ),
        methods=(method_of(firsts),),
        worst=(),
        warnings=(),
        not_measured=("Nothing else.",),
    )
    return dataclasses.replace(report, **changes)
