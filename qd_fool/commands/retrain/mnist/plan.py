"""What a retraining on MNIST is told, with names looked up and defaults filled in."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt32

from qd_fool.commands.evolve.plan import EvolvePlan, plan
from qd_fool.commands.evolve.presets import with_preset
from qd_fool.commands.retrain.config import RetrainConfig
from qd_fool.errors import UserError
from qd_fool.map_elites.config import MapElitesConfig
from qd_fool.runs.directory import differences
from qd_fool.training.lenet import RECIPES, TrainingRecipe

ROUNDS = 15
"""Networks in the paper's table."""


EVALUATIONS = {"direct": 2_000, "cppn": 4_000}
"""Of an evolution with preset fast: the median against a first network was .99999 and more."""


PAPER_EVALUATIONS = 40_200
"""With the paper's settings: 200 generations."""


GROUP = 10
"""Seeds in one compiled call, at least: a few seconds, so that Ctrl-C is met soon."""


# Free to differ between the parts of a resumed run: more rounds may be asked for.
NOT_COMPARED = ("run_dir", "resume", "rounds", "data_dir")


@dataclasses.dataclass(frozen=True, eq=False)
class RetrainPlan:
    """A `RetrainConfig` with its names looked up.

    Attributes:
      config: as given.
      rounds: networks, the first included.
      evolutions: by encoding: the one that is trained on first, then the other, if any is held out.
      generations: of each, after generation 0.
      recipe: of training.
      at_once: seeds that a device evolves side by side.
      record: plain values for `run.json`; those that decide the outcome are compared on resume.
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
        """Whose pictures are only shown."""
        return other_encoding(self.config.encoding)


def other_encoding(name: str) -> str:
    """The encoding whose pictures a network is shown that it was not trained on."""
    return "direct" if name == "cppn" else "cppn"


def plan_mnist(config: RetrainConfig) -> RetrainPlan:
    """Look up names, fill in defaults.

    Raises:
      UserError: unknown names, settings out of range, too few evaluations for a generation.
    """
    names = [config.encoding]
    if config.held_out_seeds:
        names.append(other_encoding(config.encoding))
    evolutions, generations = {}, {}
    for name in names:
        evolve = with_preset(config.preset, model=config.model, encoding=name)
        planned = plan(dataclasses.replace(evolve, generations=0))
        fast = config.preset == "fast"
        usual = EVALUATIONS.get(name, PAPER_EVALUATIONS) if fast else PAPER_EVALUATIONS
        wanted = config.evaluations or usual
        first = planned.evaluations(0)
        if wanted < first:
            raise UserError(
                f"--evaluations is {wanted}: expected {first} or more, a generation of --preset "
                f"{config.preset}"
            )
        evolutions[name] = planned
        generations[name] = (wanted - first) // (planned.evaluations(1) - first)
    # One after the other is as fast on CPU, and gives the bits of a run of one seed; an accelerator
    # would idle over batches so small.
    at_once = 1 if jax.default_backend() == "cpu" else GROUP
    plain = {name: str(v) if isinstance(v, Path) else v for name, v in vars(config).items()}
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
        record=plain
        | {"evolutions": facts, "at_once": at_once, "training": dataclasses.asdict(recipe)},
    )


def _settings(planned: EvolvePlan) -> dict[str, Any]:
    """What decides an evolution, as plain values that survive JSON."""
    config: MapElitesConfig = planned.map_elites
    return {
        "batch_size": config.batch_size,
        "chunk": config.chunk,
        "emitters": [[share.name, share.share, vars(share.settings)] for share in config.emitters],
        "encoding": dataclasses.asdict(planned.subject.encoding.settings),
    }


def check_stored(run_dir: Path, stored: dict[str, Any], wanted: RetrainPlan) -> None:
    """See that a retraining can go on with these settings.

    Raises:
      UserError: it is no retraining, or was begun with others; names each difference.
    """
    kind = stored.get("kind", "evolution")
    if kind != "retraining":
        raise UserError(f"cannot resume {run_dir}: its kind is {kind}, expected a retraining")

    def outcome(record: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in record.items() if name not in NOT_COMPARED}

    different = differences(outcome(stored["config"]), outcome(wanted.record))
    if different:
        raise UserError(f"cannot resume {run_dir}: {'; '.join(different)}")


@dataclasses.dataclass(frozen=True)
class RoundSeeds:
    """All different, and drawn from the retraining's seed and the round's number.

    Attributes:
      training: of the network's first weights and the order of images.
      evolved: of the evolutions that the next network is trained on.
      held_out: of those that it is only shown.
      other: of those of the other encoding, likewise.
    """

    training: int
    evolved: UInt32[np.ndarray, " seeds"]
    held_out: UInt32[np.ndarray, " held_out"]
    other: UInt32[np.ndarray, " held_out"]


def round_seeds(seed: int, number: int, *, seeds: int, held_out: int) -> RoundSeeds:
    """The seeds of a round: the first distinct words of NumPy's `SeedSequence([seed, round])`.

    Args:
      seed: of the retraining.
      number: of the round, from 1.
      seeds: evolutions to train on.
      held_out: evolutions to hold out, of each encoding.
    """
    wanted = 1 + seeds + 2 * held_out
    words = np.random.SeedSequence([seed, number]).generate_state(2 * wanted, np.uint32)
    first = np.sort(np.unique(words, return_index=True)[1])[:wanted]
    some = words[first]
    ends = np.cumsum([1, seeds, held_out])
    training, evolved, held, other = np.split(some, ends)
    return RoundSeeds(int(training[0]), evolved, held, other)
