"""The searches of an audit: evolutions and ascents, each in a run directory of the usual kind."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from qd_fool.ascent.blocks import evaluations_of
from qd_fool.commands.ascend.config import AscendConfig
from qd_fool.commands.ascend.run import ascend_run
from qd_fool.commands.audit.subject import SHARES, AuditSubject
from qd_fool.commands.common.part import Part
from qd_fool.commands.common.progress import Bar, Stretch
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.plan import plan
from qd_fool.commands.evolve.run import evolve_run
from qd_fool.errors import UserError
from qd_fool.judge.audit.report import THRESHOLDS, Search
from qd_fool.map_elites.evaluations import generation_cost
from qd_fool.runs.directory import read_run
from qd_fool.runs.elites import read_elites
from qd_fool.runs.lineage import read_lineage
from qd_fool.runs.metrics import read_metrics
from qd_fool.scoring.confidence import log_odds_of

LEAST_ITERATIONS, MOST_ITERATIONS = 25, 60
"""Iterations of an ascent. If the budget suffices for fewer, fewer classes are tried."""

LEAST_GENERATIONS, LEAST_BATCH = 3, 4
"""Generations after the first that an evolution should have, and the smallest batch for that."""

NOTHING = -100.0
"""Log-odds of a cell that no picture reached."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """A search of an audit.

    Attributes:
      method: "cppn", "direct" or "gradient".
      seed: Seed of the search.
      evaluations: Counted evaluations that it may spend.
      classes: Indices of the classes to fool.
      iterations: Iterations of an ascent; 0 for an evolution.
    """

    method: str
    seed: int
    evaluations: int
    classes: tuple[int, ...]
    iterations: int = 0

    @property
    def run(self) -> str:
        """Name of the run directory, below that of the audit."""
        return f"{self.method}-{self.seed}"


def plan_stages(subject: AuditSubject, *, budget: int, seeds: int) -> list[Stage]:
    """Divide the budget among methods, and repeat each method with every seed.

    Args:
      subject: Classifier that is audited.
      budget: Counted evaluations per seed.
      seeds: Number of seeds.
    """
    stages = []
    for method, part in SHARES[subject.gradient].items():
        share, classes, iterations = int(budget * part), subject.targets, 0
        if method == "gradient":
            classes = _classes_to_climb(subject.targets, share)
            each = evaluations_of(1, len(classes))
            iterations = max(1, min(MOST_ITERATIONS, share // each))
        stages += [Stage(method, seed, share, classes, iterations) for seed in range(seeds)]
    return stages


def _classes_to_climb(targets: tuple[int, ...], share: int) -> tuple[int, ...]:
    """As many classes as the budget allows to climb toward, drawn once for all seeds."""
    most = max(1, share // evaluations_of(LEAST_ITERATIONS, 1))
    if most >= len(targets):
        return targets
    drawn = np.random.default_rng(0).choice(np.asarray(targets), most, replace=False)
    return tuple(sorted(drawn.tolist()))


def is_finished(run_dir: Path) -> bool:
    """Whether a search has ended."""
    return (run_dir / "run.json").is_file() and read_run(run_dir).get("status") == "finished"


def run_stage(
    stage: Stage, subject: AuditSubject, out: Path, *, console: Console, bar: Bar, start: int
) -> bool:
    """Run a search, or continue it.

    Args:
      stage: Search to run.
      subject: Classifier that is audited.
      out: Directory of the audit.
      console: Console for the messages of the search.
      bar: Progress bar of the audit.
      start: Evaluations of the searches before this one.

    Returns:
      Whether the search is finished; False if it was interrupted.

    Raises:
      UserError: The search stopped: the classifier failed, or gave NaN.
    """
    run_dir = out / stage.run
    if is_finished(run_dir):
        return True
    words = f"{stage.method}, seed {stage.seed}"
    part = Part(subject.scorer, Stretch(bar, start, stage.evaluations, words))
    shared: dict[str, Any] = {
        **subject.named,
        "seed": stage.seed,
        "run_dir": run_dir,
        "crops": 1,
        "resume": True,
    }
    if stage.method == "gradient":
        classes = ",".join(map(str, stage.classes))
        ascent = AscendConfig(**shared, classes=classes, iterations=stage.iterations)
        stopped = ascend_run(ascent, console=console, part=part).interrupted
    else:
        evolution = EvolveConfig(
            **shared, encoding=stage.method, preset="fast", evaluations=stage.evaluations
        )
        evolution = within_budget(evolution, subject)
        stopped = evolve_run(evolution, console=console, part=part).interrupted
    if not stopped and not is_finished(run_dir):
        raise UserError(f"{run_dir} ended early: see its run.json; the same command continues it")
    return not stopped


def within_budget(config: EvolveConfig, subject: AuditSubject) -> EvolveConfig:
    """Halve the batch of an evolution until its budget suffices for some generations.

    A generation of the preset may cost more than the whole budget, if offspring climb the gradient.

    Args:
      config: Configuration of the evolution, with its evaluations.
      subject: Classifier that is audited.
    """
    while True:
        planned = plan(config, loaded=subject.scorer)
        search, budget = planned.map_elites, config.evaluations or 0
        cost = generation_cost(search, planned.subject.encoding).most
        batch = search.batch_size
        if batch + LEAST_GENERATIONS * cost <= budget or batch <= LEAST_BATCH:
            return config
        batch //= 2
        # Emitters share a batch in whole chunks.
        chunk = max(1, min(search.chunk, batch // 4))
        config = dataclasses.replace(config, batch_size=batch, chunk=chunk)


def read_search(stage: Stage, out: Path) -> Search:
    """Read the result of a search from its run directory.

    Args:
      stage: A finished search.
      out: Directory of the audit.

    Raises:
      UserError: A file of the run directory is missing or damaged.
    """
    run_dir = out / stage.run
    metrics, events = read_metrics(run_dir), read_lineage(run_dir)
    if events is None:
        raise UserError(f"{run_dir}: its lineage.npz is missing")
    rows = {int(row["class_index"]): row for row in read_elites(run_dir)}
    spent = dict(
        zip(metrics["generation"].astype(int), metrics["evaluations"].astype(int), strict=True)
    )
    first = tuple(
        _first_evaluations(events, spent, stage.classes, threshold) for threshold in THRESHOLDS
    )
    return Search(
        seed=stage.seed,
        run=stage.run,
        evaluations=int(read_run(run_dir)["evaluations"]),
        first=first,
        confidence=tuple(float(rows[k]["confidence"]) if k in rows else 0.0 for k in stage.classes),
        log_odds=tuple(float(rows[k]["fitness"]) if k in rows else NOTHING for k in stage.classes),
    )


def _first_evaluations(
    events: dict[str, np.ndarray],
    spent: dict[int, int],
    classes: Sequence[int],
    threshold: float,
) -> tuple[int | None, ...]:
    """Evaluations at the end of the generation that first reaches a threshold, per class."""
    reached = events["fitness"] >= log_odds_of(threshold)
    found: dict[int, int] = {}
    pairs = zip(events["class_index"][reached], events["generation"][reached], strict=True)
    for k, generation in pairs:
        found[int(k)] = min(found.get(int(k), int(generation)), int(generation))
    return tuple(int(spent[found[k]]) if k in found else None for k in classes)
