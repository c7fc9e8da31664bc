"""An audit from Python of a network in JAX: gradients, and a class for unknown pictures."""

import dataclasses
import math

import jax.numpy as jnp
import pytest
from colours import LABELS, colour_photographs, colour_scorer

import qd_fool
from qd_fool.commands.audit import conduct, searches
from qd_fool.commands.audit.searches import plan_stages, within_budget
from qd_fool.commands.audit.subject import make_subject
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.plan import plan
from qd_fool.errors import UserError
from qd_fool.judge.audit.stored import read_audit

UNKNOWN = (*LABELS, "unknown")


def subject_of(scorer, **settings):
    return make_subject(scorer, {}, **({"unknown": None, "photographs": "none"} | settings))


def unknown_scorer():
    """The fourth class wins where no colour stands out."""
    scorer = colour_scorer(labels=UNKNOWN)

    def apply(weight, x):
        colours = x[:, 8:-8, 8:-8].mean(axis=(1, 2)) @ weight[:, :3]
        return jnp.concatenate([colours, jnp.full((len(x), 1), 2.0)], axis=1)

    return dataclasses.replace(scorer, apply=apply)


def test_shares_and_classes_of_the_searches():
    stages = plan_stages(subject_of(colour_scorer()), budget=4000, seeds=2)
    assert [stage.run for stage in stages] == [
        "cppn-0", "cppn-1", "direct-0", "direct-1", "gradient-0", "gradient-1",
    ]  # fmt: skip
    assert [stage.evaluations for stage in stages] == [2000] * 2 + [1000] * 4
    assert stages[-1].classes == (0, 1, 2)
    # Four evaluations per iteration and class: 1000 suffice for 83, and 60 are enough.
    assert stages[-1].iterations == 60
    few = plan_stages(subject_of(colour_scorer()), budget=800, seeds=1)[-1]
    assert (len(few.classes), few.iterations) == (2, 25)


@pytest.mark.parametrize(("evaluations", "batch"), [(100, 2), (300, 5), (1250, 20), (50_000, 20)])
def test_a_batch_is_small_enough_for_its_budget(evaluations, batch):
    subject = subject_of(colour_scorer())
    asked = EvolveConfig(
        model="python:memory:colours",
        encoding="direct",
        preset="fast",
        evaluations=evaluations,
        crops=1,
    )
    config = within_budget(asked, subject)
    planned = plan(config, loaded=subject.scorer)
    assert planned.map_elites.batch_size == batch
    assert planned.evaluations(planned.generations) <= evaluations
    assert planned.generations >= 2


def test_a_class_for_unknown_pictures_is_found_and_is_no_target():
    scorer = unknown_scorer()
    assert subject_of(scorer).unknown == 3
    assert subject_of(scorer).targets == (0, 1, 2)
    assert subject_of(scorer, unknown="none").targets == (0, 1, 2, 3)
    assert subject_of(scorer, unknown="green").targets == (0, 2, 3)
    with pytest.raises(UserError, match="--unknown 'mauve'"):
        subject_of(scorer, unknown="mauve")


@pytest.mark.parametrize(
    ("unknown", "classes"),
    [(None, (0, 1)), pytest.param("green", (0,), marks=pytest.mark.long)],
)
def test_two_classes_and_the_one_that_is_right_for_nothing(monkeypatch, unknown, classes):
    monkeypatch.setitem(searches.SHARES, True, {"gradient": 1.0})
    monkeypatch.setattr(conduct, "REFERENCES", ())
    report = qd_fool.audit(colour_scorer(labels=LABELS[:2]), budget=400, unknown=unknown)
    assert report.method("gradient").classes == classes
    named = [note for note in report.not_measured if "one of the two classes" in note]
    assert len(named) == (unknown is None)


def test_labels_that_hold_independently_are_judged_one_by_one(monkeypatch):
    """Two labels are sure at once, which a softmax would halve."""
    monkeypatch.setitem(searches.SHARES, True, {"gradient": 1.0})
    monkeypatch.setattr(conduct, "REFERENCES", ())
    plain = colour_scorer()

    def apply(params, x):
        first = plain.apply(params, x)[:, :1]
        return jnp.concatenate([first, first, jnp.full_like(first, 6.0)], axis=1)

    scorer = dataclasses.replace(plain, apply=apply, multilabel=True)
    report = qd_fool.audit(scorer, budget=400, photos=colour_photographs())
    confidence = 1 / (1 + math.exp(-6))
    assert all(probe.median == pytest.approx(confidence, abs=1e-6) for probe in report.probes)
    assert report.photographs.confidence.value == pytest.approx(confidence, abs=1e-6)
    assert set(report.method("gradient").detectors) <= {"logit", "energy"}
    assert any("each confidence is that of a label" in n.lower() for n in report.not_measured)


@pytest.mark.long
def test_an_audit_in_memory_with_gradients_and_an_unknown_class(tmp_path):
    images, labels = colour_photographs()
    report = qd_fool.audit(
        unknown_scorer(), budget=800, photos=(images, labels), out=tmp_path / "out"
    )
    assert report == read_audit(tmp_path / "out" / "audit.json")
    names = [method.name for method in report.methods]
    assert names == ["cppn", "direct", "gradient", "shown-squeezenet", "shown-lite0"]
    assert report.network.unknown == 3
    assert all(3 not in method.classes for method in report.methods)
    gradient = report.method("gradient")
    assert gradient.gradient
    assert gradient.fooled[0].share.value == 1
    assert len(gradient.classes) == 2
    assert any("tried 2 of 3 classes" in note for note in report.not_measured)
    assert all(picture.class_index != 3 for picture in report.worst)
    with pytest.raises(UserError, match="is not empty"):
        qd_fool.audit(unknown_scorer(), out=tmp_path / "out")
