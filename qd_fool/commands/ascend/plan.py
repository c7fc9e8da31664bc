"""An `AscendConfig` with its names looked up and its defaults filled in."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from qd_fool.ascent.blocks import evaluations_of
from qd_fool.ascent.config import PRESETS, AscentConfig
from qd_fool.ascent.objectives import OF_CLASSES, read_objective
from qd_fool.commands.ascend.config import LEARNING_RATES, OF_ASCENT, USED_WITH, AscendConfig
from qd_fool.commands.ascend.starts import NOISE, Source, read_source
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.flags import flag
from qd_fool.commands.evolve.plan import EvolvePlan, plan
from qd_fool.encodings import ENCODINGS
from qd_fool.errors import UserError
from qd_fool.models import ZOO
from qd_fool.models.class_names import read_classes
from qd_fool.models.network import Network


@dataclasses.dataclass(frozen=True, eq=False)
class AscendPlan:
    """An `AscendConfig` with its names looked up and its defaults filled in.

    Attributes:
      config: as given, with what depends on the preset, the model and --from filled in.
      evolve: the plan of an evolution with the same network and genomes, as which the run's files
        are read.
      ascent: settings of the ascent.
      classes, starts: `(n,)` of each target, class by class.
      source: the elites to start from, or None.
      record: plain values for `run.json`; compared on resume.
    """

    config: AscendConfig
    evolve: EvolvePlan
    ascent: AscentConfig
    classes: Int[np.ndarray, " n"]
    starts: Int[np.ndarray, " n"]
    source: Source | None
    record: dict[str, Any]


def plan_ascent(config: AscendConfig) -> AscendPlan:
    """Look up names, read weights and elites, fill in defaults.

    Raises:
      UserError: unknown names, settings that don't go together or are out of range.
    """
    preset = _preset(config)
    source = None if config.from_run is None else read_source(config.from_run)
    config = _with_source(config, source)
    evolve_config = _evolve_config(config, source)
    first = plan(evolve_config)
    scorer = first.scorer
    if source is not None:
        source.check(config.parametrization, first)
    wanted = _targets(config, scorer, source)
    classes = np.repeat(wanted, config.starts)
    starts = np.tile(np.arange(config.starts, dtype=np.int32), len(wanted))
    ascent = _ascent_config(config, preset, scorer, targets=len(classes))
    objective = read_objective(ascent.objective, scorer)
    filled = {name: getattr(ascent, name) for name in OF_ASCENT}
    if config.parametrization == "pixels" and source is None:
        filled["start"] = config.start or "mean"
    config = dataclasses.replace(
        config,
        model=scorer.name,
        image_size=first.encoding.image_shape[0],
        **filled,
    )
    evaluations = evaluations_of(ascent.iterations, len(classes))
    if evaluations >= 2**31:
        raise UserError(f"that is {evaluations:,} evaluations: expected fewer than 2^31")
    # Read as an evolution's, this run is over after generation 0, which cost all evaluations.
    evolve = plan(dataclasses.replace(evolve_config, batch_size=evaluations, chunk=ascent.chunk))
    record = {k: str(v) if isinstance(v, Path) else v for k, v in vars(config).items()} | {
        "weights_sha256": scorer.weights_sha256,
        "mean_sha256": evolve.record.get("mean_sha256"),
        "from_digest": None if source is None else source.digest,
        "objective_is_a_unit": objective.name not in OF_CLASSES,
    }
    return AscendPlan(config, evolve, ascent, classes, starts, source, record)


def _preset(config: AscendConfig) -> AscentConfig:
    if config.preset not in PRESETS:
        raise UserError(f"--preset is {config.preset!r}: expected one of {', '.join(PRESETS)}")
    return PRESETS[config.preset]


def _with_source(config: AscendConfig, source: Source | None) -> AscendConfig:
    """Network and pictures as those of --from, where nothing else is said."""
    if source is None:
        if config.parametrization == "cppn" and config.start is not None:
            raise UserError(
                f"--start {config.start} is of pixels: CPPNs start from random graphs, or --from"
            )
        if config.start not in (None, *NOISE) and config.starts > 1:
            raise UserError(
                f"--starts is {config.starts}: all of them would be the same from --start "
                f"{config.start}, expected 1"
            )
        return dataclasses.replace(config, model=config.model or "lenet")
    if config.start is not None:
        raise UserError(f"--start {config.start} and --from are two starts: expected one of them")
    if config.starts > 1:
        raise UserError(
            f"--starts is {config.starts}: with --from there is one start a class, expected 1"
        )
    theirs = source.evolve.config
    if theirs.also and config.model is None:
        raise UserError(
            f"--from {config.from_run}: evolved against {theirs.model} and "
            f"{', '.join(theirs.also)}: --model says which of them to climb"
        )
    if config.model in (None, theirs.model):
        config = dataclasses.replace(
            config,
            model=theirs.model,
            weights=config.weights or theirs.weights,
            mean=config.mean or theirs.mean,
        )
    if config.image_size is None:
        config = dataclasses.replace(config, image_size=theirs.image_size)
    return config


def _evolve_config(config: AscendConfig, source: Source | None) -> EvolveConfig:
    """An evolution with the same network and genomes."""
    model = config.model or ""
    settings: dict[str, Any]
    if config.parametrization == "pixels":
        # Gray genes are bytes by themselves, and so they are those of a default evolution.
        gray = ZOO[model].image_shape[2] == 1
        settings = {"genes": "int", "color": None if gray else "rgb"}
    elif source is not None and source.evolve.encoding.name == "cppn":
        known = {field.name for field in dataclasses.fields(EvolveConfig)}
        own = {field.name for field in dataclasses.fields(ENCODINGS["cppn"].settings)} & known
        settings = {name: getattr(source.evolve.config, name) for name in own}
    else:
        settings = {}
    return EvolveConfig(
        model=model,
        encoding="direct" if config.parametrization == "pixels" else "cppn",
        generations=0,
        batch_size=2**20,  # until it is known
        seed=config.seed,
        run_dir=config.run_dir,
        weights=config.weights,
        mean=config.mean,
        precision=config.precision,
        crops=config.crops,
        image_size=config.image_size,
        **settings,
    )


def _ascent_config(
    config: AscendConfig, preset: AscentConfig, scorer: Network, *, targets: int
) -> AscentConfig:
    """The preset, with what flags say instead."""
    own_chunk = scorer.chunk if jax.default_backend() == "cpu" else scorer.accelerator_chunk
    filled: dict[str, Any] = {
        # Half, so that two devices have something to do; the same number for any devices.
        "chunk": min(own_chunk, -(-targets // 2)),
        "lr": LEARNING_RATES[
            "cppn" if config.parametrization == "cppn" else "imagenet" if scorer.wnids else "digits"
        ],
    }
    given = {n: getattr(config, n) for n in OF_ASCENT if getattr(config, n) is not None}
    if "chunk" in given:
        given["chunk"] = min(given["chunk"], targets)
    made = dataclasses.replace(preset, **(filled | given))

    def changed(name: str) -> bool:
        # A resumed run is given all of its settings.
        return name in given and given[name] != filled.get(name, getattr(preset, name))

    for name, wanted in USED_WITH.items():
        found = getattr(made, wanted[0])
        if changed(name) and found not in wanted[1]:
            expected = " or ".join(wanted[1])
            raise UserError(
                f"--{flag(name)} {given[name]} would do nothing: --{flag(wanted[0])} is {found}, "
                f"expected {expected}"
            )
    if changed("blur_every") and not made.blur:
        raise UserError(f"--blur-every {given['blur_every']} would do nothing: --blur is 0")
    return made


def _targets(
    config: AscendConfig, scorer: Network, source: Source | None
) -> Int[np.ndarray, " classes"]:
    """The classes to climb to, ascending."""
    count = len(scorer.class_names)
    if config.classes == "all":
        return np.arange(count, dtype=np.int32) if source is None else source.cells
    wanted = read_classes(config.classes, scorer)
    if source is not None:
        empty = np.setdiff1d(wanted, source.cells)
        if empty.size:
            raise UserError(
                f"--classes names {empty[0]} ({scorer.class_names[empty[0]]}), which has no elite "
                f"in {config.from_run}"
            )
    return wanted
