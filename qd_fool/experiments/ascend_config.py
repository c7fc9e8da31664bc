"""What `qd-fool ascend` can be told, and what follows from it."""

import dataclasses
import datetime
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import numpy as np
import tyro
from jaxtyping import Int

from qd_fool.ascent_blocks import evaluations_of
from qd_fool.ascent_config import PRESETS, AscentConfig
from qd_fool.encodings import ENCODINGS
from qd_fool.errors import UserError
from qd_fool.experiments.ascend_starts import NOISE, Source, read_source
from qd_fool.experiments.evolve_config import EvolveConfig, EvolvePlan, plan
from qd_fool.experiments.evolve_parts import flag
from qd_fool.models import ZOO, Scorer
from qd_fool.models.zoo import Precision
from qd_fool.objectives import OF_CLASSES, read_objective
from qd_fool.runs import differences, read_run

Parametrization = Literal["pixels", "cppn"]

LEARNING_RATES = {"imagenet": 1.0, "digits": 4.0, "cppn": 0.03}
"""Of Adam and of constant steps. A digit has 250 times fewer pixels, which must go further each."""


@dataclasses.dataclass(frozen=True)
class AscendConfig:
    """Climb the network's gradient toward classes, from noise or from a run's elites.

    Writes a run directory like an evolution's, with ascent.csv and mean_subtracted/. Stop with
    Ctrl-C: what is finished is kept, and --resume goes on.
    """

    model: str | None = None
    """The network; `qd-fool models` lists them. That of --from if not given, else lenet."""
    classes: str = "all"
    """Toward which: indices, ranges from:to:step, labels; 291,340 or 0:1000:10 or lion. With
    --objective LAYER:UNIT they only name the cells in which the pictures are kept."""
    run_dir: Path | None = None
    """Where to write; a new directory under runs/, named by time, if not given."""
    preset: str = "adam"
    """Settings to begin with: adam (log-odds, Adam), paper (the original's), or one of the paper's
    supplement: seed-1, seed169, seed188, seed360. Flags beat it."""
    parametrization: Parametrization = "pixels"
    """What is moved: pixels, or the weights of CPPNs whose graphs stay as they are."""
    from_run: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """A run whose elites are the starts, each toward its own cell's class."""
    objective: str | None = None
    """What is climbed: log-odds, probability, logit (of the class), LAYER:UNIT or
    LAYER:CHANNEL,ROW,COLUMN (before its ReLU). Of a unit the strongest iterate is kept, of a class
    the most confident."""
    rule: str | None = None
    """How far a step goes: adam, progress (the original) or constant."""
    lr: float | None = None
    """adam, constant: the learning rate; if not given 1 gray level, 4 for digits, 0.03 for
    weights."""
    early: float | None = None
    """progress: what a step is to gain, of the confidence or whatever else is climbed."""
    late: float | None = None
    """progress: at most this share of what is missing."""
    max_lr: float | None = None
    """progress: bound on the learning rate."""
    decay: float | None = None
    """Pixels: share of the difference from the mean that each step takes away (L2)."""
    blur: float | None = None
    """Pixels: radius of a Gaussian blur after steps; 0 for none, else 0.3 or more."""
    blur_every: int | None = None
    """Pixels: steps from one blur to the next."""
    small_values: float | None = None
    """Pixels: percentile below which values are set to the mean after each step."""
    small_norms: float | None = None
    """Pixels: the same of pixels, by their norm."""
    low_benefit: float | None = None
    """Pixels: the same of pixels, by what setting them to the mean would gain."""
    low_abs_benefit: float | None = None
    """Pixels: the same, by the size of that."""
    iterations: int | None = None
    """Forward passes a picture, one more than there are steps; the preset's if not given."""
    start: str | None = None
    """Pixels: mean (the network's mean and unit noise), uniform (noise in 0..255), zero (the mean
    itself), or a PNG of the size that is climbed; mean if not given."""
    starts: int = 1
    """How many times each class is climbed, from noise of its own; the best is the elite."""
    seed: int = 0
    """Of all randomness: same seed, same pictures."""
    weights: Path | None = None
    """A weights file for the model instead of its own."""
    mean: Path | None = None
    """A mean image (.npy or .binaryproto) for the networks trained by Caffe on ImageNet."""
    precision: Precision = "float32"
    """float32, or bfloat16 for the network's parameters and arithmetic."""
    crops: int = 1
    """Crops averaged a picture: 1 (centre) or the paper's 10."""
    image_size: int | None = None
    """Side of the square pictures in pixels; the model's own, or those of --from, if not given."""
    chunk: int | None = None
    """Pictures at once, which bounds the network's memory; the model's own if not given."""
    block: int | None = None
    """Pictures kept together, and lost together on Ctrl-C; about a gigabyte of them if not given.
    Does not change the result."""
    devices: int | None = None
    """Devices to use; all if not given. Does not change the result."""
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """Go on with the run in --run-dir; its settings hold where none are given."""

    def __post_init__(self) -> None:
        for name in ("starts", "image_size", "chunk", "block", "devices"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"--{flag(name)} is {value}: expected 1 or more")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"--seed is {self.seed}: expected 0 to {2**32 - 1}")


# Free to differ between the parts of a resumed run: none of them touches the outcome.
NOT_COMPARED = ("run_dir", "resume", "devices", "block", "weights", "mean")
USED_WITH: dict[str, tuple[str, tuple[str, ...]]] = {
    "lr": ("rule", ("adam", "constant")),
    "early": ("rule", ("progress",)),
    "late": ("rule", ("progress",)),
    "max_lr": ("rule", ("progress",)),
}
"""Flags that only mean something where another has one of these values."""
OF_ASCENT = tuple(field.name for field in dataclasses.fields(AscentConfig))


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
    config: AscendConfig, preset: AscentConfig, scorer: Scorer, *, targets: int
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
    config: AscendConfig, scorer: Scorer, source: Source | None
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


def read_classes(text: str, scorer: Scorer) -> Int[np.ndarray, " classes"]:
    """Class indices, ascending, from `291,340`, `0:1000:10` or labels.

    Raises:
      UserError: not such a text, or no such class.
    """
    count = len(scorer.class_names)
    named = {
        name.strip().lower(): k
        for k, label in reversed(list(enumerate(scorer.class_names)))
        for name in label.split(",")
    } | {wnid: k for k, wnid in enumerate(scorer.wnids)}
    found: set[int] = set()
    for part in text.split(","):
        word = part.strip().lower()
        match = re.fullmatch(r"(-?\d+)(?::(-?\d+)(?::(-?\d+))?)?", word)
        if match is None and word in named:
            found.add(named[word])
            continue
        if match is None:
            raise UserError(
                f"--classes has {part.strip()!r}: expected all, indices, from:to:step or labels of "
                f"{scorer.name}"
            )
        first, to, step = (None if group is None else int(group) for group in match.groups())
        if step is not None and step < 1:
            raise UserError(f"--classes has {word}: expected a step of 1 or more")
        some = [first] if to is None else range(first or 0, to, step or 1)
        if not len(some):
            raise UserError(f"--classes has {word}: expected a range with something in it")
        for k in (some[0], some[-1]):
            if k is None or not 0 <= k < count:
                raise UserError(f"--classes has {word}: {scorer.name} has classes 0 to {count - 1}")
        found.update(k for k in some if k is not None)
    return np.asarray(sorted(found), np.int32)


def stored_ascent(run_dir: Path) -> AscendConfig:
    """The settings that an ascent was started with, as defaults for resuming it.

    Raises:
      UserError: no run there, or not of an ascent, or one of other fields than this version's.
    """
    record = read_run(run_dir).get("ascent")
    if not isinstance(record, dict):
        raise UserError(f"{run_dir} is the run of an evolution: expected one of qd-fool ascend")
    fields = {field.name for field in dataclasses.fields(AscendConfig)}
    paths = {"run_dir", "from_run", "weights", "mean"}
    missing = sorted(fields - set(record))
    if missing:
        raise UserError(f"{run_dir / 'run.json'}: its ascent lacks {', '.join(missing)}")
    values: dict[str, Any] = {
        name: Path(value) if name in paths and value is not None else value
        for name, value in record.items()
        if name in fields
    }
    try:
        return AscendConfig(**(values | {"run_dir": run_dir, "resume": True}))
    except TypeError as error:
        raise UserError(f"{run_dir / 'run.json'}: its ascent is damaged ({error})") from error


def check_ascent_resumable(run_dir: Path, wanted: AscendPlan) -> dict[str, Any]:
    """The `run.json` of an ascent that is to go on.

    Raises:
      UserError: it was run with other settings; names each difference.
    """
    stored_ascent(run_dir)
    run = read_run(run_dir)

    def outcome(record: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in record.items() if k not in NOT_COMPARED}

    different = differences(outcome(run["ascent"]), outcome(wanted.record))
    if different:
        raise UserError(f"cannot resume {run_dir}: {'; '.join(different)}")
    return run


def ascent_dir(config: AscendConfig) -> Path:
    """The directory asked for, or `runs/<time>-ascent`, with the model if it is named."""
    if config.run_dir is not None:
        return config.run_dir
    now = datetime.datetime.now().astimezone().strftime("%Y-%m-%dT%H-%M-%S")
    return Path("runs") / re.sub(
        r"[^\w.-]", "_", f"{now}-{config.model or ''}-ascent".replace("--", "-")
    )
