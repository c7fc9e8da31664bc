"""The settings of `qd-fool evolve`."""

import dataclasses
from pathlib import Path

import tyro

from qd_fool.archive import ArchiveRule
from qd_fool.emitters.variation import Parents
from qd_fool.encodings.color import Color
from qd_fool.encodings.cppn.settings import Coords
from qd_fool.encodings.direct import Genes
from qd_fool.errors import UserError, check_range
from qd_fool.map_elites.config import (
    check_extent,
)
from qd_fool.models.joint import Joint
from qd_fool.models.load import Precision
from qd_fool.runs.genomes import KeepGenomes

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
        counts = ("batch_size", "evaluations", "checkpoint_every", "log_every", "image_size")
        check_range(self, *counts, "devices", "chunk", least=1)
        check_range(self, "minutes", above=0)
        if self.evaluations is not None and self.generations is not None:
            raise UserError(
                f"--evaluations is {self.evaluations} and --generations {self.generations}: "
                "expected one of them"
            )
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
