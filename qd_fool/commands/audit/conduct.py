"""The course of an audit: a look at the classifier, pictures of others, searches, judgement."""

import dataclasses
from pathlib import Path

import numpy as np
from rich.console import Console

from qd_fool.commands.audit.assembly import make_report
from qd_fool.commands.audit.fooling import (
    REFERENCES,
    SHOWN,
    FoolingSet,
    previous_set,
    reference_set,
)
from qd_fool.commands.audit.judgement import (
    Sanity,
    gives_logits,
    judge_photographs,
    look_at_preprocessings,
    searched_method,
    shown_method,
)
from qd_fool.commands.audit.photographs import Labelled
from qd_fool.commands.audit.sanity import probe, probe_pictures
from qd_fool.commands.audit.searches import Stage, plan_stages, run_stage
from qd_fool.commands.audit.subject import AuditSubject
from qd_fool.commands.common.progress import progress_bar
from qd_fool.judge.audit.report import AuditReport, Method, Picture, Settings


@dataclasses.dataclass(frozen=True)
class Request:
    """What an audit is asked to do.

    Attributes:
      budget: Counted evaluations of the searches, per seed.
      seeds: Number of seeds.
      quick: Whether few pictures of other networks are shown.
      baseline: An earlier audit.json, whose fooling pictures are shown, or None.
    """

    budget: int
    seeds: int
    quick: bool
    baseline: Path | None = None


def conduct(
    subject: AuditSubject, request: Request, out: Path, *, console: Console, log: Console
) -> AuditReport | None:
    """Audit a classifier. Searches that are finished already are not repeated.

    Args:
      subject: Classifier that is audited.
      request: What to do.
      out: Directory of the audit.
      console: Console for the progress.
      log: Console for the messages of the searches.

    Returns:
      The report; None if a signal ended the audit early.

    Raises:
      UserError: The classifier failed, or a run directory is damaged.
    """
    stages = plan_stages(subject, budget=request.budget, seeds=request.seeds)
    total = sum(stage.evaluations for stage in stages)
    with progress_bar(console, "evaluation", total=total) as bar:
        # The classifier as it is, and pictures that fooled others.
        bar.update(0, "photographs and probes")
        sanity = look(subject)
        bar.update(0, "pictures that fooled other networks")
        methods, notes = show_all(subject, request, sanity)

        # The searches, each in a run directory.
        start = 0
        for stage in stages:
            if not run_stage(stage, subject, out, console=log, bar=bar, start=start):
                return None
            start += stage.evaluations
            bar.update(start, f"{stage.method}, seed {stage.seed}", last=stage is stages[-1])

        # The judgement.
        bar.update(total, "judgement")
        ranked: dict[str, list[tuple[float, Picture]]] = {}
        by_method: dict[str, list[Stage]] = {}
        for stage in stages:
            by_method.setdefault(stage.method, []).append(stage)
        searched = []
        for name, group in by_method.items():
            method, ranked[name] = searched_method(group, out, subject, sanity)
            searched.append(method)
    shares = {name: group[0].evaluations for name, group in by_method.items()}
    settings = Settings(request.budget, request.seeds, shares)
    return make_report(subject, sanity, settings, [*searched, *methods], ranked, notes)


def look(subject: AuditSubject) -> Sanity:
    """Look at the classifier before anything is searched.

    Args:
      subject: Classifier that is audited.
    """
    labelled = subject.photographs if isinstance(subject.photographs, Labelled) else None
    labels, multilabel = subject.scorer.class_names, subject.scorer.multilabel
    probes, answers = [], []
    for name, words, images in probe_pictures(subject.scorer.image_shape, labelled):
        answers.append(subject.logits(images))
        probes.append(probe(name, words, answers[-1], labels, multilabel=multilabel))
    logits = report = None
    if labelled is not None:
        logits = subject.logits(labelled.images)
        report = judge_photographs(labelled, logits, multilabel=multilabel)
    return Sanity(
        photographs=labelled,
        logits=logits,
        report=report,
        preprocessings=() if logits is None else look_at_preprocessings(subject, logits),
        probes=tuple(probes),
        gives_logits=gives_logits(np.concatenate(answers)),
    )


def show_all(
    subject: AuditSubject, request: Request, sanity: Sanity
) -> tuple[list[Method], list[str]]:
    """Show the classifier pictures that fooled other networks, and those of the baseline.

    Args:
      subject: Classifier that is audited.
      request: What to do.
      sanity: The classifier before the searches.

    Returns:
      A result per set of pictures, and sentences about sets that were left out.
    """
    most = SHOWN[request.quick]
    found: list[FoolingSet | str] = []
    if request.baseline is not None:
        found.append(previous_set(request.baseline, subject))
    found += [reference_set(name, subject, most=most) for name in REFERENCES]
    methods = [shown_method(each, subject, sanity) for each in found if not isinstance(each, str)]
    return methods, [each for each in found if isinstance(each, str)]
