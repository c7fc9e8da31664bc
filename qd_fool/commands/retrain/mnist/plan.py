"""The plan of a retraining on MNIST: names looked up and defaults filled in."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import UInt32

from qd_fool.commands.common.imports import import_differences
from qd_fool.commands.common.settings import outcome, record_of, refuse_differences
from qd_fool.commands.common.team import facts_of_process
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.plan import EvolvePlan, plan
from qd_fool.commands.retrain.config import RetrainConfig
from qd_fool.errors import UserError
from qd_fool.map_elites.config import MapElitesConfig
from qd_fool.runs.checkpoints import digest
from qd_fool.training.lenet import RECIPES, TrainingRecipe

ROUNDS = 15
"""Networks in the paper's table."""


EVALUATIONS = {"direct": 2_000, "cppn": 4_000}
"""Counted evaluations of an evolution with preset fast, by encoding.

With these, the median confidence of a first network was .99999 or more."""


PAPER_EVALUATIONS = 40_200
"""Counted evaluations of an evolution with the paper's settings: 200 generations."""


GROUP = 10
"""Lowest number of seeds in one compiled call.

A call takes a few seconds, so that the command soon responds to Ctrl-C."""


@dataclasses.dataclass(frozen=True, eq=False)
class RetrainPlan:
    """A `RetrainConfig` with its names looked up.

    Attributes:
      config: Settings of the retraining.
      rounds: Number of networks, the first included.
      evolutions: Evolutions by encoding: first that of the training pictures, then the other, if
        any pictures are held out.
      generations: Generations of each evolution after generation 0, by encoding.
      recipe: Recipe of training.
      at_once: Seeds that a device evolves side by side.
      record: Plain values for `run.json`. A resumed run must have the same values.
    """

    config: RetrainConfig
    rounds: int
    evolutions: dict[str, EvolvePlan]
    generations: dict[str, int]
    recipe: TrainingRecipe
    at_once: int
    record: dict[str, Any]

    @property
    def other_encoding(self) -> str:
        """The encoding whose pictures are only shown."""
        return other_encoding(self.config.encoding)


def other_encoding(name: str) -> str:
    """The encoding whose pictures no network is trained on."""
    return "direct" if name == "cppn" else "cppn"


def plan_mnist(config: RetrainConfig) -> RetrainPlan:
    """Look up names, fill in defaults.

    Raises:
      UserError: A name is unknown, a setting is out of range, or the evaluations are too few for
        one generation.
    """
    # Both encodings are planned if pictures of the other one are held out.
    names = [config.encoding]
    if config.held_out_seeds:
        names.append(other_encoding(config.encoding))
    evolutions, generations = {}, {}
    for name in names:
        planned = plan(
            EvolveConfig(model=config.model, encoding=name, preset=config.preset, generations=0)
        )
        fast = config.preset == "fast"
        usual = EVALUATIONS.get(name, PAPER_EVALUATIONS) if fast else PAPER_EVALUATIONS
        wanted = config.evaluations or usual
        first = planned.evaluations(0)
        if wanted < first:
            raise UserError(
                f"--evaluations is {wanted}: expected {first} or more, a generation of --preset "
                f"{config.preset}"
            )
        # Whole generations that fit into the evaluations.
        evolutions[name] = planned
        generations[name] = (wanted - first) // (planned.evaluations(1) - first)

    # On a CPU, seeds one after another are as fast, and have the bits of runs of one seed. An
    # accelerator would be idle most of the time with such small batches.
    at_once = 1 if jax.default_backend() == "cpu" else GROUP

    # The plan and its record.
    facts = {
        name: {
            "generations": generations[name],
            "evaluations": planned.evaluations(generations[name]),
            "settings": _settings(planned),
        }
        for name, planned in evolutions.items()
    }
    recipe = RECIPES[config.recipe]
    return RetrainPlan(
        config=config,
        rounds=config.rounds or ROUNDS,
        evolutions=evolutions,
        generations=generations,
        recipe=recipe,
        at_once=at_once,
        record=record_of(config)
        | {"evolutions": facts, "at_once": at_once, "training": dataclasses.asdict(recipe)},
    )


def _settings(planned: EvolvePlan) -> dict[str, Any]:
    """Settings that decide an evolution, as plain values that survive JSON."""
    config: MapElitesConfig = planned.map_elites
    return {
        "batch_size": config.batch_size,
        "chunk": config.chunk,
        "emitters": [[share.name, share.share, vars(share.settings)] for share in config.emitters],
        "encoding": dataclasses.asdict(planned.subject.encoding.settings),
    }


def facts_to_agree(
    planned: RetrainPlan, mesh: Mesh, *, digits: Sequence[np.ndarray]
) -> dict[str, Any]:
    """What must be equal in all processes, by name.

    Args:
      planned: Settings of the retraining in this process.
      mesh: Devices of all processes.
      digits: MNIST, images and labels.
    """
    return {
        **outcome(RetrainConfig, planned.record),
        "rounds": planned.rounds,
        "the SHA-256 of MNIST": digest(list(digits)),
        **facts_of_process(mesh, planned.evolutions[planned.config.encoding].subject.networks),
    }


def check_stored(run_dir: Path, stored: dict[str, Any], wanted: RetrainPlan) -> None:
    """Check that a retraining can continue with these settings.

    Args:
      run_dir: Directory of the retraining, for errors.
      stored: Contents of `run.json`.
      wanted: Settings to continue with.

    Raises:
      UserError: The run is no retraining, or has other settings; the error names each difference.
    """
    kind = stored.get("kind", "evolution")
    if kind != "retraining":
        raise UserError(f"cannot resume {run_dir}: its kind is {kind}, expected a retraining")
    was, new = (outcome(RetrainConfig, record) for record in (stored["config"], wanted.record))
    also = import_differences(stored, wanted.config.imports)
    refuse_differences(run_dir, was, new, also=also)


@dataclasses.dataclass(frozen=True)
class RoundSeeds:
    """The seeds of one round, all different, from the retraining's seed and the round.

    Attributes:
      training: Seed of the network's first weights and of the order of images.
      evolved: Seeds of the evolutions that the next network is trained on.
      held_out: Seeds of evolutions whose pictures are only shown to the next network.
      other: Seeds of evolutions with the other encoding, whose pictures are only shown, too.
    """

    training: int
    evolved: UInt32[np.ndarray, " seeds"]
    held_out: UInt32[np.ndarray, " held_out"]
    other: UInt32[np.ndarray, " held_out"]


def round_seeds(seed: int, number: int, *, seeds: int, held_out: int) -> RoundSeeds:
    """The seeds of a round: the first distinct words of NumPy's `SeedSequence([seed, round])`.

    Args:
      seed: Seed of the retraining.
      number: Number of the round, from 1.
      seeds: Number of evolutions to train on.
      held_out: Number of evolutions per encoding to hold out.
    """
    wanted = 1 + seeds + 2 * held_out
    words = np.random.SeedSequence([seed, number]).generate_state(2 * wanted, np.uint32)
    first = np.sort(np.unique(words, return_index=True)[1])[:wanted]
    ends = np.cumsum([1, seeds, held_out])
    training, evolved, held, other = np.split(words[first], ends)
    return RoundSeeds(int(training[0]), evolved, held, other)
