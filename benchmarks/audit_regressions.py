"""Planted regressions of a LeNet: does an audit fail them against a baseline, by the right metric?

LeNets are trained with the short recipe and several seeds. Three regressions are planted in each:
half of the labels are random; all logits times 3; no weight decay, on 1,000 images, until the loss
is near 0. Every planted network is compared with every plain one, and plain ones with each other.
Networks and audits are kept in `--work`, so that the script continues where it stopped.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from common import report
from rich.progress import track

import qd_fool
from qd_fool.data.mnist import load_mnist
from qd_fool.judge.audit.comparison import compare, outcomes_of
from qd_fool.judge.audit.report import AuditReport
from qd_fool.judge.audit.stored import read_audit
from qd_fool.models import Scorer
from qd_fool.models.architectures.lenet import LeNet
from qd_fool.models.retrained import map_named, name_leaves
from qd_fool.training.lenet import RECIPES, TrainingRecipe, init_training, train_steps

KINDS = ("plain", "noisy labels", "logits times 3", "overfit")
RIGHT = {
    "noisy labels": ("accuracy", "ece"),
    "logits times 3": ("robustness",),
    "overfit": ("accuracy", "ece"),
}
"""The metrics of which one should fail, by what was planted.

A LeNet that learns from half-random labels is still right, and never confident. Logits times 3
change no class, and a network that is always right is hardly worse calibrated by them, but it is
fooled sooner. A network that knows 1,000 images by heart is wrong more often and still sure; it was
first expected to be fooled sooner, which is so for only some of them.
"""

FEW = 1_000
"""Images to overfit to."""


def train(kind: str, seed: int, images: np.ndarray, labels: np.ndarray) -> Any:
    """Parameters of a LeNet."""
    recipe: TrainingRecipe = RECIPES["short"]
    rng = np.random.default_rng(1000 + seed)
    if kind == "noisy labels":
        random = rng.random(len(labels)) < 0.5
        labels = np.where(random, rng.integers(0, 10, len(labels)), labels).astype(np.int32)
    if kind == "overfit":
        chosen = rng.choice(len(labels), FEW, replace=False)
        images, labels = images[chosen], labels[chosen]
        recipe = dataclasses.replace(recipe, weight_decay=0.0, steps=2000)
    network = LeNet()
    state = init_training(network, recipe, seed=seed)
    run = jax.jit(train_steps, static_argnames=("network", "recipe", "steps"))
    state, _ = run(
        state, jnp.asarray(images), jnp.asarray(labels), network=network, recipe=recipe,
        steps=recipe.steps,
    )  # fmt: skip
    return state.params


def network_of(kind: str, seed: int, work: Path, digits: tuple[np.ndarray, np.ndarray]) -> Scorer:
    """A network, trained unless its file is there already."""
    scorer = qd_fool.load_scorer("lenet")
    trained = "plain" if kind == "logits times 3" else kind
    path = work / f"{trained}-{seed}.safetensors"
    if not path.exists():
        params = train(trained, seed, *digits)
        safetensors.numpy.save_file(
            {name: np.asarray(leaf) for name, leaf in name_leaves(params).items()}, path
        )
    flat = safetensors.numpy.load_file(path)
    params = map_named(lambda name, _: jnp.asarray(flat[name]), scorer.params)
    factor, apply = (3.0 if kind == "logits times 3" else 1.0), scorer.apply
    return dataclasses.replace(
        scorer, name=kind.replace(" ", "-"), params=params, apply=lambda p, x: factor * apply(p, x)
    )


def main() -> None:
    """Train, audit, compare, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/audit_regressions"))
    parser.add_argument("--trainings", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=2, help="searches per method of each audit")
    parser.add_argument("--margins", type=float, nargs="+", default=[0.05, 0.02, 0.01])
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    digits, test = load_mnist("train"), load_mnist("test")
    photos = test[0][::5], test[1][::5]

    audits: dict[tuple[str, int], AuditReport] = {}
    wanted = [(kind, seed) for seed in range(arguments.trainings) for kind in KINDS]
    for kind, seed in track(wanted):
        out = arguments.work / f"audit-{kind.replace(' ', '-')}-{seed}"
        if not (out / "audit.json").exists():
            scorer = network_of(kind, seed, arguments.work, digits)
            partial = out.with_name(f"{out.name}-{len(list(arguments.work.glob(f'{out.name}*')))}")
            qd_fool.audit(scorer, photos=photos, seeds=arguments.seeds, out=partial)
            partial.rename(out)
        audits[kind, seed] = read_audit(out / "audit.json")

    rows = []
    for margin in arguments.margins:
        for kind in KINDS:
            rows.append(row_of(kind, audits, margin, trainings=arguments.trainings))
    words = " ".join(str(__doc__).split("\n\n")[1].split())
    words += (
        f" {arguments.trainings} trainings of each kind, {arguments.seeds} seeds per audit, budget "
        'quick, 2,000 test digits. "As expected": a plain network passes; a planted one fails by '
        "a metric that the script names for it in `RIGHT`."
    )
    report("audit_regressions", rows, words=words)


def row_of(
    kind: str, audits: dict[tuple[str, int], AuditReport], margin: float, *, trainings: int
) -> dict[str, Any]:
    """How many comparisons fail, and by which metrics."""
    failures: list[set[str]] = []
    for before in range(trainings):
        for now in range(trainings):
            if kind == "plain" and before == now:
                continue
            found = compare(audits[kind, now], audits["plain", before])
            bad = [each for each in outcomes_of(found, margin=margin) if each.failed]
            failures.append({each.name.removeprefix("regression of ") for each in bad})
    names = sorted({name for each in failures for name in each})
    by_metric = {name: sum(name in each for each in failures) for name in names}
    accuracy = [audits[kind, seed].photographs for seed in range(trainings)]
    right = RIGHT.get(kind, ())
    by_right = [any(word in name for name in each for word in right) for each in failures]
    rightly = by_right if right else [not each for each in failures]
    return {
        "margin": margin,
        "planted": kind,
        "comparisons": len(failures),
        "failed": sum(bool(each) for each in failures),
        "as expected": sum(rightly),
        "by": ", ".join(f"{name} {count}" for name, count in by_metric.items()) or "-",
        "accuracy": f"{np.median([each.accuracy.value for each in accuracy if each]):.3f}",
        "ece": f"{np.median([each.ece.value for each in accuracy if each]):.3f}",
        "cppn.robustness@.99": f"{median_robustness(kind, audits, trainings):.3f}",
    }


def median_robustness(
    kind: str, audits: dict[tuple[str, int], AuditReport], trainings: int
) -> float:
    """The median part of the budget until a class is fooled at .99 by CPPNs."""
    values = []
    for seed in range(trainings):
        method = audits[kind, seed].method("cppn")
        if method is not None and (part := method.fooled[-1].robustness) is not None:
            values.append(part.value)
    return float(np.median(values))


if __name__ == "__main__":
    main()
