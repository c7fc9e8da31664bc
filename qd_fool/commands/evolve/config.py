"""The settings of `qd-fool evolve`. This module imports no JAX."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tyro

from qd_fool.choices import ArchiveRule, Joint, KeepGenomes, Precision, ShareRule
from qd_fool.commands.common.foreign import Pictured
from qd_fool.commands.common.imports import Importing
from qd_fool.commands.common.settings import UNRECORDED, free, plain, record_of
from qd_fool.commands.common.signals import Stoppable
from qd_fool.commands.common.together import Together, check_together
from qd_fool.errors import UserError, check_range
from qd_fool.map_elites.extent import check_extent

CPU_MINUTES = 4.5
"""Minutes of a run on ImageNet without an accelerator, if no other end is given."""


@dataclasses.dataclass(frozen=True)
class EvolveConfig(Pictured, Importing, Stoppable, Together):
    """Evolve an archive of fooling images, one cell per class, into a run directory.

    Ctrl-C stops and saves the run at any time; --resume continues it, bit for bit.
    """

    model: str = "lenet"
    """Network to fool: a name that `qd-fool models` lists, or your own: onnx:FILE;
    python:FILE.py:FUNCTION for any function of NumPy arrays; or https://... for a service. Repeat
    the flag to fool several networks with the same picture. A picture's confidence is then the
    lowest, or see --joint."""
    encoding: str = "direct"
    """How genomes make pictures: direct (one gene per pixel) or cppn (evolved graphs of functions),
    or an encoding of --import."""
    preset: str = "paper"
    """Settings for flags that are not given: paper (the original's) or fast (our fastest settings:
    most confidence gained per evaluation; see benchmarks/efficiency.md)."""
    generations: int | None = free(None)
    """Generations after the random generation 0; with --resume, the total. Default: the original's
    5000 for a network of ImageNet, else 200."""
    evaluations: int | None = free(None)
    """Budget in network evaluations, instead of --generations. Runs as many whole generations as
    fit, at least one."""
    batch_size: int | None = None
    """Offspring per generation. Default: the paper's, 400 for CPPNs on ImageNet, else 200."""
    minutes: float | None = free(None)
    """Run time after which the run is saved and stops; --resume continues it. Default: 4.5 on
    ImageNet without an accelerator, if no other end is given."""
    seed: int = 0
    """Seed of all randomness: the same seed gives the same pictures."""
    run_dir: Path | None = free(None)
    """Directory to write. Default: a new directory under runs/, named by time."""
    weights: Path | None = free(None)
    """Weights file for the model instead of its own: .safetensors, .npz, .pth or .caffemodel. With
    several models, one file per model in the same order; `own` for a network's own weights."""
    also: tuple[str, ...] = ()
    """Further networks: the second --model and later ones."""
    also_weights: tuple[Path, ...] = free(())
    """Weights of the further networks: the second --weights and later ones."""
    joint: Joint = "least"
    """Fitness with several models: the lowest of the networks' log-odds (least), or their mean."""
    mean: Path | None = free(None)  # its SHA-256 is compared
    """Mean image (.npy or .binaryproto) for the networks trained by Caffe on ImageNet; for a
    network of your own one number or three with commas between, in 0..255."""
    precision: Precision = "float32"
    """Type of the network's parameters and arithmetic: float32 or bfloat16."""
    crops: int | None = None
    """Crops averaged per picture: 1 (centre) or the paper's 10 (needs pictures larger than the
    network's input). Default: 10 on ImageNet with an accelerator, else 1."""
    photos: Path | None = free(None)
    """Folder of photographs to score before the run; wrong preprocessing shows there."""
    convert: tyro.conf.FlagCreatePairsOff[bool] = free(False)
    """Turn photographs that are gray, CMYK, 16-bit or the like into 8-bit RGB."""
    resume: tyro.conf.FlagCreatePairsOff[bool] = free(False)
    """Continue the run in --run-dir. Settings that are not given are those of the run."""
    explain: tyro.conf.FlagCreatePairsOff[bool] = dataclasses.field(
        default=False, metadata=UNRECORDED
    )
    """Print what the run costs (memory, communication between devices, evaluations per generation),
    and end. Nothing is written."""
    init_from: Path | None = None
    """Finished run whose elites, scored again, are this run's first archive."""
    checkpoint_every: int | None = free(None)
    """Generations between checkpoints. Default: as many as take about 30 seconds."""
    log_every: int = free(1)
    """Generations between rows of metrics.csv."""
    keep_genomes: KeepGenomes = free("auto")
    """Genomes of former elites to keep, for pictures of ancestors and for films: ancestors (of the
    current elites), all, or none. Default: ancestors, if a genome is small (16 kB)."""
    archive_rule: ArchiveRule = "all"
    """Cells in which a picture competes: those of all classes (all), or that of its most confident
    class (argmax)."""
    emitters: str | None = None
    """Sources of offspring, with their shares of the batch: variation (mutated elites, as in the
    paper), gradient (elites that climb toward their cell's class), or one small change at a time:
    fine (weights or pixels), edge, node, prune, function (of a CPPN's graph), recombine;
    "variation:3,gradient:1" mixes them. Default: variation."""
    shares: ShareRule | None = None
    """Division of each batch among the emitters: fixed (as --emitters says) or adaptive (by the
    confidence that each one's offspring added lately per counted evaluation). Default: fixed."""
    tune_after: float | None = None
    """Part of the run, 0 to 1, after which emitters with a step size (fine, edge, ...) join
    --shares adaptive. Measured in generations, or in minutes where they end the run first.
    Default: 0."""
    image_size: int | str | None = None
    """Side of the pictures in pixels, or HEIGHTxWIDTH. Default: the model's own."""
    devices: int | None = free(None)
    """Number of devices of each process: accelerators, or CPU cores. Default: all. Does not change
    the result."""
    chunk: int | None = None
    """Pictures scored at once, which bounds memory. Default: the model's own."""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict, metadata=UNRECORDED)
    """Settings of the encoding and of the emitters, by the names of their flags. The command has a
    flag for each. Default: the preset's, else those of the encoding and of the emitters."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
          UserError: A number is out of range.
        """
        whole = ("batch_size", "evaluations", "checkpoint_every", "log_every")
        check_range(self, *whole, "devices", "chunk", least=1)
        check_range(self, "minutes", above=0)
        check_range(self, "tune_after", least=0, most=1)
        if self.evaluations is not None and self.generations is not None:
            raise UserError(
                f"--evaluations is {self.evaluations} and --generations {self.generations}: "
                "expected one of them"
            )
        check_together(self)
        check_extent(
            generations=self.generations or 0, batch_size=self.batch_size or 1, seed=self.seed
        )


def evolve_config(**fields: Any) -> EvolveConfig:
    """Make a configuration from its fields and settings in one mapping, as in run.json.

    Args:
      **fields: Fields of `EvolveConfig`, and settings of encodings and emitters.
    """
    names = {field.name for field in dataclasses.fields(EvolveConfig)}
    settings = {name: value for name, value in fields.items() if name not in names}
    return EvolveConfig(**{n: v for n, v in fields.items() if n in names}, settings=settings)


def record_of_run(config: EvolveConfig) -> dict[str, Any]:
    """The record of a configuration, its settings beside its fields.

    Args:
      config: Configuration with its defaults filled in.
    """
    return record_of(config) | {name: plain(value) for name, value in config.settings.items()}
