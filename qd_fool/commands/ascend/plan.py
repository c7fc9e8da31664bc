"""An `AscendConfig` with its names looked up and its defaults filled in."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jaxtyping import Int
from rich.console import Console

from qd_fool.ascent.blocks import evaluations_of
from qd_fool.ascent.config import PRESETS, AscentConfig
from qd_fool.ascent.objectives import OF_CLASSES, read_objective
from qd_fool.commands.ascend.config import LEARNING_RATES, USED_WITH, AscendConfig
from qd_fool.commands.ascend.source import Source, read_source
from qd_fool.commands.common.foreign import flags_of_picture, picture_settings
from qd_fool.commands.common.networks import Networks
from qd_fool.commands.common.settings import flag, record_of
from qd_fool.commands.common.subject import Subject, make_subject
from qd_fool.encodings import Encoding, make_encoding
from qd_fool.errors import UserError
from qd_fool.models.class_names import read_classes
from qd_fool.models.foreign.settings import PictureSettings
from qd_fool.models.network import Network
from qd_fool.models.sides import read_size, sides_of, size_on_record

NOISE = ("mean", "uniform")
"""Starts that are random."""

OF_ASCENT = tuple(field.name for field in dataclasses.fields(AscentConfig))


@dataclasses.dataclass(frozen=True, eq=False)
class AscendPlan:
    """An `AscendConfig` with its names looked up and its defaults filled in.

    Attributes:
      config: Configuration, with the defaults of preset, network and --from filled in.
      subject: Network, encoding and scoring.
      ascent: Settings of the ascent.
      classes: Class of each target, `(n,)`, ascending.
      starts: Number of each target among the starts of its class, `(n,)`.
      source: Run whose elites are the starts, or None.
      record: Plain values for `run.json`. Those that decide the outcome are compared on resume.
    """

    config: AscendConfig
    subject: Subject
    ascent: AscentConfig
    classes: Int[np.ndarray, " n"]
    starts: Int[np.ndarray, " n"]
    source: Source | None
    record: dict[str, Any]

    @property
    def evaluations(self) -> int:
        """Counted evaluations of all targets."""
        return evaluations_of(self.ascent.iterations, len(self.classes))


def plan_ascent(
    config: AscendConfig, *, console: Console, loaded: Network | None = None
) -> AscendPlan:
    """Look up names, read weights and elites, fill in defaults.

    Args:
      config: Settings of the ascent.
      console: Console for messages about checkpoints of --from.
      loaded: Network of the ascent, if it is loaded already.

    Raises:
      UserError: A name is unknown, or settings contradict each other or are out of range.
    """
    # The subject. With --from, network and pictures are those of the run, unless flags differ.
    preset = _preset(config)
    source = None if config.from_run is None else read_source(config.from_run, console=console)
    _check_start(config, source)
    networks = _networks(config, source)
    networks = networks.with_gradient()
    scorer = networks.load() if loaded is None else loaded
    networks = networks.with_engine(networks.engine_of(scorer))
    encoding = _encoding(config, scorer, source)
    if source is not None:
        source.check(config.parametrization, encoding, scorer)

    # The targets: each class as often as it has starts.
    wanted = _targets(config, scorer, source)
    classes = np.repeat(wanted, config.starts)
    starts = np.tile(np.arange(config.starts, dtype=np.int32), len(wanted))

    # The search.
    ascent = _ascent_config(config, preset, scorer, targets=len(classes))
    objective = read_objective(ascent.objective, scorer)
    evaluations = evaluations_of(ascent.iterations, len(classes))
    if evaluations >= 2**31:
        raise UserError(f"that is {evaluations:,} evaluations: expected fewer than 2^31")

    # The configuration with all defaults, and its record.
    filled = {name: getattr(ascent, name) for name in OF_ASCENT}
    if config.parametrization == "pixels" and source is None:
        filled["start"] = config.start or "mean"
    config = dataclasses.replace(
        config,
        model=networks.model,
        weights=networks.weights,
        mean=networks.mean,
        **flags_of_picture(networks.picture),
        image_size=size_on_record(*encoding.image_shape[:2]),
        **filled,
    )
    subject = make_subject(networks, scorer, encoding, crops=ascent.crops, chunk=ascent.chunk)
    record = {
        **record_of(config),
        "mean_sha256": None,
        **subject.hashes,
        "from_digest": None if source is None else source.digest,
        "objective_is_a_unit": objective.name not in OF_CLASSES,
    }
    return AscendPlan(config, subject, ascent, classes, starts, source, record)


def _preset(config: AscendConfig) -> AscentConfig:
    if config.preset not in PRESETS:
        raise UserError(f"--preset is {config.preset!r}: expected one of {', '.join(PRESETS)}")
    return PRESETS[config.preset]


def _check_start(config: AscendConfig, source: Source | None) -> None:
    """Refuse starts that contradict the other settings."""
    if source is not None:
        if config.start is not None:
            raise UserError(
                f"--start {config.start} and --from are two starts: expected one of them"
            )
        if config.starts > 1:
            raise UserError(
                f"--starts is {config.starts}: with --from there is one start per class, expected 1"
            )
        return
    if config.parametrization == "cppn" and config.start is not None:
        raise UserError(
            f"--start {config.start} applies only to pixels: CPPNs start from random graphs or "
            "--from"
        )
    if config.start not in (None, *NOISE) and config.starts > 1:
        raise UserError(
            f"--starts is {config.starts}: all of them would be the same from --start "
            f"{config.start}, expected 1"
        )


def _networks(config: AscendConfig, source: Source | None) -> Networks:
    """The network to climb: that of the flags, else that of --from."""
    model, weights, mean = config.model, config.weights, config.mean
    picture = picture_settings(config)
    if source is not None:
        from_run = source.networks
        if from_run.also and model is None:
            raise UserError(
                f"--from {config.from_run}: evolved against {from_run.model} and "
                f"{', '.join(from_run.also)}: expected --model, the network to climb"
            )
        if model in (None, from_run.model):
            model = from_run.model
            weights, mean = weights or from_run.weights, mean or from_run.mean
            picture = from_run.picture if picture == PictureSettings() else picture
    return Networks(
        model=model or "lenet",
        weights=weights,
        mean=mean,
        precision=config.precision,
        picture=picture,
    )


def _encoding(config: AscendConfig, scorer: Network, source: Source | None) -> Encoding:
    """The encoding whose values the ascent moves: pixels or CPPNs."""
    height, width, channels = scorer.image_shape
    if config.image_size is not None:
        height, width = sides_of(read_size(config.image_size, flag="--image-size"))
    elif source is not None:
        height, width, _ = source.encoding.image_shape
    shape = (height, width, channels)
    if config.parametrization == "pixels":
        # A gray gene is a byte, as in a default evolution.
        return make_encoding("direct", shape, color=None if channels == 1 else "rgb")
    if source is not None and source.encoding.name == "cppn":
        return make_encoding("cppn", shape, **dataclasses.asdict(source.encoding.settings))
    return make_encoding("cppn", shape)


def _ascent_config(
    config: AscendConfig, preset: AscentConfig, scorer: Network, *, targets: int
) -> AscentConfig:
    """The preset, changed by the given flags."""
    own_chunk = scorer.chunk if jax.default_backend() == "cpu" else scorer.accelerator_chunk
    filled: dict[str, Any] = {
        # Half of the targets, so that two devices share the work. The number of devices does not
        # change it.
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
        # For a resumed run, all settings are given.
        return name in given and given[name] != filled.get(name, getattr(preset, name))

    for name, wanted in USED_WITH.items():
        found = getattr(made, wanted[0])
        if changed(name) and found not in wanted[1]:
            expected = " or ".join(wanted[1])
            raise UserError(
                f"--{flag(name)} {given[name]} has no effect: --{flag(wanted[0])} is {found}, "
                f"expected {expected}"
            )
    if changed("blur_every") and not made.blur:
        raise UserError(f"--blur-every {given['blur_every']} has no effect: --blur is 0")
    return made


def _targets(
    config: AscendConfig, scorer: Network, source: Source | None
) -> Int[np.ndarray, " classes"]:
    """The target classes, ascending."""
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
