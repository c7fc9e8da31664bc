"""What `qd-fool evolve` can be told, and what follows from it."""

import dataclasses
import datetime
import hashlib
import math
import re
from pathlib import Path
from typing import Any

import jax
import tyro

from qd_fool.archive import ArchiveRule
from qd_fool.elites import ScoreFunction, score_function
from qd_fool.emitters import Parents
from qd_fool.encodings import Encoding, make_encoding
from qd_fool.encodings.color import Color
from qd_fool.encodings.cppn_settings import Coords
from qd_fool.encodings.direct import Genes
from qd_fool.errors import UserError
from qd_fool.experiments.evolve_parts import emitter_shares, encoding_settings, flag
from qd_fool.experiments.networks import OWN, load_networks
from qd_fool.genome_log import KeepGenomes, what_to_keep
from qd_fool.map_elites import MapElitesConfig, counted_evaluations, generations_for
from qd_fool.models import Scorer
from qd_fool.models.joint import Joint, join_scorers
from qd_fool.models.zoo import Precision
from qd_fool.runs import differences, read_run
from qd_fool.segments import check_extent

CPU_MINUTES = 4.5
"""Of a run on ImageNet without an accelerator, if nothing else is said."""


@dataclasses.dataclass(frozen=True)
class EvolveConfig:
    """Evolve an archive of fooling images, one cell a class, into a run directory.

    Stop with Ctrl-C at any time: the run is saved and can be resumed, bit for bit.
    """

    model: str = "lenet"
    """The network to fool; `qd-fool models` lists them. Given again, another: the same pictures are
    to fool them all, and so on. A picture's confidence is then the least, or --joint."""
    encoding: str = "direct"
    """How genomes make pictures: direct (a gene a pixel) or cppn (evolved graphs of functions)."""
    preset: str = "paper"
    """Settings where no flag is given: paper (the original's) or fast (the most confidence per
    evaluation that this project has found, by encoding; see benchmarks/efficiency.md). In Python
    `presets.with_preset` fills them in."""
    generations: int | None = None
    """Generations after the random generation 0; under --resume, the total. The original's 5000
    for a network of ImageNet if not given, else 200."""
    evaluations: int | None = None
    """Instead of generations: as many as so many counted evaluations pay for, one at least."""
    batch_size: int | None = None
    """Offspring a generation; the paper's if not given: 400 for CPPNs on ImageNet, else 200."""
    minutes: float | None = None
    """Stop, saved, after so much run time; --resume goes on. Without an accelerator, on ImageNet
    and if no other end is given: 4.5."""
    seed: int = 0
    """Of all randomness: same seed, same pictures."""
    run_dir: Path | None = None
    """Where to write; a new directory under runs/, named by time, if not given."""
    weights: Path | None = None
    """A weights file for the model instead of its own: .safetensors, .npz, .pth or .caffemodel.
    With several models one each, in the same order; `own` for a network's own."""
    also: tuple[str, ...] = ()
    """Further networks: what --model is told the second time and after."""
    also_weights: tuple[Path, ...] = ()
    """Their weights: what --weights is told the second time and after."""
    joint: Joint = "least"
    """Several models: what counts in a picture: the least of the networks' log-odds, or their
    mean."""
    mean: Path | None = None
    """A mean image (.npy or .binaryproto) for the networks trained by Caffe on ImageNet."""
    precision: Precision = "float32"
    """float32, or bfloat16 for the network's parameters and arithmetic."""
    crops: int | None = None
    """Crops averaged a picture: 1 (centre) or the paper's 10 (needs images larger than the
    network's input). If not given 10 on ImageNet with an accelerator, else 1."""
    photos: Path | None = None
    """A folder of photographs to show the network before the run: wrong preprocessing shows."""
    convert: tyro.conf.FlagCreatePairsOff[bool] = False
    """Turn photographs that are gray, CMYK, 16-bit or the like into 8-bit RGB."""
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """Go on with the run in --run-dir; its settings hold where none are given."""
    init_from: Path | None = None
    """A finished run whose elites, scored anew, are this run's first archive."""
    checkpoint_every: int | None = None
    """Generations between checkpoints; about every 30 seconds if not given."""
    log_every: int = 1
    """Generations between rows of metrics.csv."""
    keep_genomes: KeepGenomes = "auto"
    """Of former holders of cells, for the pictures of ancestors and for films: ancestors (of living
    elites), all, or none; ancestors if not given, where a genome is small (16 kB)."""
    archive_rule: ArchiveRule = "all"
    """all: each picture competes in every class; argmax: in its most confident class only."""
    emitters: str = "variation"
    """Where offspring come from, with shares of the batch: variation (mutated elites, the paper's)
    or gradient (elites climbing toward their cell's class); "variation:3,gradient:1" mixes."""
    parents: Parents = "uniform"
    """Variation: uniform over the cells (the original); or of two so drawn the one that is young
    (born later), weak or strong (by its confidence)."""
    gradient_steps: int = 8
    """Gradient: steps of an offspring, each counted as four evaluations."""
    gradient_rate: float | None = None
    """Gradient: learning rate, in gray levels or a CPPN's weights; the encoding's if not given."""
    gradient_ceiling: float = 0.9999
    """Gradient: cells of this confidence and more are passed over."""
    image_size: int | None = None
    """Side of the square pictures in pixels; the model's own if not given."""
    devices: int | None = None
    """Devices to use: accelerators, or CPU cores; all if not given. Does not change the result."""
    chunk: int | None = None
    """Pictures scored at once, which bounds memory; the model's own if not given."""
    genes: Genes = "int"
    """Direct encoding: 8-bit integers (the paper) or floats (the original code)."""
    mutation_rate: float = 0.1
    """Direct encoding: probability that a gene mutates, halved every 1000 generations."""
    crossover_rate: float = 0.0
    """Probability of crossover with a second elite: of pixels, simulated binary (the original code:
    0.5); of CPPNs, whole outputs (the original: none)."""
    color: Color | None = None
    """What genes or outputs mean; the original's gray or hls, by the network, if not given."""
    coords: Coords = "raw"
    """CPPN: columns and rows as they count (the original), or normalized to -scale..scale."""
    coords_scale: float = 8.0
    """CPPN: the scale of normalized coordinates."""
    activations: str = "sine,sigmoid,gaussian,linear"
    """CPPN: functions that nodes draw from; without sine: tanh,sigmoid,gaussian,linear."""
    max_nodes: int = 64
    """CPPN: room for nodes in a genome, the four inputs and the outputs included."""
    max_edges: int = 160
    """CPPN: room for edges in a genome."""
    mutations: int = 1
    """CPPN: how many times an offspring is mutated, at least."""
    most_mutations: int = 1
    """CPPN: at most; each number between is as likely."""
    zoom: float = 0.0
    """CPPN: probability that an offspring is drawn coarser or finer, by up to a factor of two."""

    def __post_init__(self) -> None:
        """Refuse what no run could mean.

        Raises:
          UserError: a number out of range.
        """
        low: dict[str, int] = {
            "batch_size": 1,
            "evaluations": 1,
            "checkpoint_every": 1,
            "log_every": 1,
            "image_size": 1,
            "devices": 1,
            "chunk": 1,
        }
        for name, least in low.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise UserError(f"--{flag(name)} is {value}: expected {least} or more")
        if self.evaluations is not None and self.generations is not None:
            raise UserError(
                f"--evaluations is {self.evaluations} and --generations {self.generations}: "
                "expected one of them"
            )
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise UserError(f"--minutes is {self.minutes}: expected a number above 0")
        check_extent(
            generations=self.generations or 0, batch_size=self.batch_size or 1, seed=self.seed
        )


# Free to differ between the parts of a resumed run: none of them touches the outcome.
NOT_COMPARED = (
    "generations",
    "evaluations",
    "run_dir",
    "resume",
    "devices",
    "checkpoint_every",
    "log_every",
    "weights",
    "also_weights",
    "mean",  # mean_sha256 is
    "minutes",
    "photos",
    "convert",
    "keep_genomes",
)
# Runs of older versions lack these; what they did is the default.
ADDED_LATER = (
    "evaluations",
    "also",
    "also_weights",
    "joint",
    "color",
    "coords",
    "coords_scale",
    "activations",
    "max_nodes",
    "max_edges",
    "mutations",
    "most_mutations",
    "zoom",
    "preset",
    "emitters",
    "parents",
    "gradient_steps",
    "gradient_rate",
    "gradient_ceiling",
    "minutes",
    "mean",
    "precision",
    "photos",
    "convert",
    "keep_genomes",
)


@dataclasses.dataclass(frozen=True, eq=False)
class EvolvePlan:
    """An `EvolveConfig` with its names looked up and its defaults filled in.

    Attributes:
      config: as given, with what depends on the model, the encoding and the machine filled in.
      scorer, encoding, map_elites: what it stands for.
      score: `(params, images) -> log-odds (n, classes)` of 8-bit pictures, as evolution scores.
      record: plain values for `run.json`; those that decide the outcome are compared on resume.
      keep_genomes: as given, with what `auto` stands for.
    """

    config: EvolveConfig
    scorer: Scorer
    encoding: Encoding
    map_elites: MapElitesConfig
    score: ScoreFunction
    record: dict[str, Any]
    keep_genomes: KeepGenomes

    @property
    def generations(self) -> int:
        """After generation 0."""
        if self.config.generations is None:
            raise ValueError("a plan has its generations filled in")
        return self.config.generations

    def evaluations(self, generation: int) -> int:
        """Counted up to the end of a generation."""
        return counted_evaluations(self.map_elites, generation, encoding=self.encoding)


def plan(config: EvolveConfig) -> EvolvePlan:
    """Look up names, read weights, fill in defaults.

    Raises:
      UserError: unknown names, unreadable weights, settings out of range.
    """
    scorer = read_networks(config)
    height, width, channels = scorer.image_shape
    if config.image_size is not None:
        height = width = config.image_size
    given = {name: getattr(config, name) for name in ("generations", "evaluations", "minutes")}
    on_cpu = jax.default_backend() == "cpu"
    filled = fill_in(config, scorer, side=min(height, width), on_cpu=on_cpu)
    config = dataclasses.replace(
        config, image_size=config.image_size or height, evaluations=None, **filled
    )
    settings = encoding_settings(config)
    encoding = make_encoding(config.encoding, (height, width, channels), **settings)
    map_elites = MapElitesConfig(
        batch_size=filled["batch_size"],
        archive_rule=config.archive_rule,
        crops=filled["crops"],
        chunk=filled["chunk"],
        emitters=emitter_shares(config),
    )
    if given["evaluations"] is not None:
        affordable = generations_for(map_elites, given["evaluations"], encoding=encoding)
        config = dataclasses.replace(config, generations=affordable)
    check_extent(
        generations=config.generations or 0, batch_size=filled["batch_size"], seed=config.seed
    )
    record = {
        **{k: _plain(v) for k, v in vars(config).items()},
        **given,  # how long to go on is decided anew when the run is resumed
        "weights_sha256": scorer.weights_sha256,
    }
    if config.mean is not None:
        record["mean_sha256"] = hashlib.sha256(config.mean.read_bytes()).hexdigest()
    score = score_function(scorer, crops=map_elites.crops, chunk=map_elites.chunk)
    keep = what_to_keep(config.keep_genomes, encoding)
    return EvolvePlan(config, scorer, encoding, map_elites, score, record, keep)


def read_networks(config: EvolveConfig) -> Scorer:
    """The network that a configuration names, or several as one.

    Raises:
      UserError: as `load_networks` and `join_scorers`.
    """
    first = () if config.weights is None else (config.weights,)
    if config.also_weights and not first:
        first = (Path(OWN),)
    networks = load_networks(
        (config.model, *config.also),
        (*first, *config.also_weights),
        mean=config.mean,
        precision=config.precision,
    )
    return join_scorers(networks, rule=config.joint)


def _plain(value: Any) -> Any:
    """As JSON holds it."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def fill_in(config: EvolveConfig, scorer: Scorer, *, side: int, on_cpu: bool) -> dict[str, Any]:
    """What is not given, by network, encoding and machine: the original's where they fit.

    Args:
      config: as given.
      scorer: the network.
      side: of the pictures.
      on_cpu: whether there is no accelerator.

    Returns:
      `generations`, `batch_size`, `crops`, `chunk` and `minutes`.
    """
    imagenet = bool(scorer.wnids)
    batch_size = config.batch_size or (400 if imagenet and config.encoding == "cppn" else 200)
    minutes = config.minutes
    told = config.generations is not None or config.evaluations is not None
    if minutes is None and imagenet and on_cpu and not told:
        minutes = CPU_MINUTES
    generations = config.generations
    if generations is None:
        generations = 5000 if imagenet else 200
    crops = config.crops
    if crops is None:
        crops = 10 if imagenet and not on_cpu and side > scorer.input_size else 1
    chunk = config.chunk or (scorer.chunk if on_cpu else scorer.accelerator_chunk)
    shares = [share.share for share in emitter_shares(config)]
    if config.chunk is None and len(shares) > 1:
        # Emitters fill whole chunks: two at least for the smallest share.
        chunk = min(chunk, max(1, int(batch_size * min(shares) / sum(shares) / 2)))
    return {
        "generations": generations,
        "batch_size": batch_size,
        "crops": crops,
        # A chunk beyond the batch would be filled up with pictures that nobody wants scored.
        "chunk": min(chunk, batch_size),
        "minutes": minutes,
    }


def _with_later_fields(record: dict[str, Any]) -> dict[str, Any]:
    """A stored configuration, with those fields that its version did not have at their defaults."""
    defaults = {f.name: _plain(f.default) for f in dataclasses.fields(EvolveConfig)}
    return {name: defaults[name] for name in ADDED_LATER} | record


def stored_config(run_dir: Path) -> EvolveConfig:
    """The configuration that a run was started with, as a default for resuming it.

    Raises:
      UserError: no run there, or one of other fields than this version's.
    """
    record = _with_later_fields(read_run(run_dir)["config"])
    fields = {f.name for f in dataclasses.fields(EvolveConfig)}
    paths = {"weights", "init_from", "mean", "photos"}
    missing = sorted(fields - set(record))
    if missing:
        raise UserError(f"{run_dir / 'run.json'}: its config lacks {', '.join(missing)}")
    defaults = {f.name: _plain(f.default) for f in dataclasses.fields(EvolveConfig)}
    for name, default in defaults.items():
        kinds = (int, float) if type(default) is float else (type(default),)
        if default is not None and type(record[name]) not in kinds:
            raise UserError(
                f"{run_dir / 'run.json'}: {name} is {record[name]!r}, expected "
                f"{type(default).__name__}"
            )
    try:
        known: dict[str, Any] = {
            k: Path(v) if k in paths and v is not None else v
            for k, v in record.items()
            if k in fields
        }
        known |= {"photos": None, "convert": False}  # shown when the run began
        known["also"] = tuple(map(str, known["also"]))
        known["also_weights"] = tuple(map(Path, known["also_weights"]))
        return EvolveConfig(**(known | {"run_dir": run_dir, "resume": True}))
    except TypeError as error:
        raise UserError(f"{run_dir / 'run.json'}: its config is damaged ({error})") from error


def check_resumable(run_dir: Path, wanted: EvolvePlan) -> dict[str, Any]:
    """The `run.json` of a run that is to go on.

    Raises:
      UserError: it was run with another configuration; names each difference.
    """
    run = read_run(run_dir)

    def outcome(record: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in record.items() if k not in NOT_COMPARED}

    different = differences(outcome(_with_later_fields(run["config"])), outcome(wanted.record))
    if different:
        raise UserError(f"cannot resume {run_dir}: {'; '.join(different)}")
    return run


def new_run_dir(config: EvolveConfig) -> Path:
    """The directory asked for, or `runs/<time>-<model>-<encoding>`."""
    if config.run_dir is not None:
        return config.run_dir
    now = datetime.datetime.now().astimezone().strftime("%Y-%m-%dT%H-%M-%S")
    names = "+".join((config.model, *config.also))
    return Path("runs") / re.sub(r"[^\w.-]", "_", f"{now}-{names}-{config.encoding}")
