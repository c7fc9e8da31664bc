"""The settings of the commands that are one file each. This module imports no JAX."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from qd_fool.choices import Precision
from qd_fool.commands.common.foreign import Pictured
from qd_fool.commands.common.imports import Importing
from qd_fool.errors import UserError, check_range

LARGEST_FRAME = 4096
"""Highest width of a film's frame in pixels."""

ClassName = Annotated[str | None, tyro.conf.arg(name="class")]
Switch = tyro.conf.FlagCreatePairsOff[bool]
JsonSwitch = Annotated[Switch, tyro.conf.arg(name="json")]


@dataclasses.dataclass(frozen=True)
class ExportConfig(Importing):
    """Write a run's files again from its newest state: pictures, archive.npz, sheet, report.

    Useful for a run that was killed: its checkpoints hold the elites. Also writes the graphs of a
    CPPN run, as JSON or as drawings. With --out, the run may be running, or be in a directory that
    can only be read.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """Run directory."""
    out: Path | None = None
    """Directory to write instead of the run's own; for --format all a new one."""
    format: Literal["all", "report", "sheet", "graphs", "svg"] = "all"
    """all: archive.npz, elites/, elites.csv, report and sheet, from the newest checkpoint;
    report, sheet: report.html or contact_sheet.png, from the existing pictures;
    graphs, svg: the elites' graphs into graphs/, as JSON or as drawings."""
    class_name: ClassName = None
    """Class whose graph to write (graphs, svg): its index, WNID or label, such as 291, n02129165 or
    lion."""
    model: str | None = None
    """Network of the run, which must be named if it is code (python:FILE.py:FUNCTION) or an
    address. Default: the network that the run records."""
    token_env: str | None = None
    """Name of the environment variable that holds the bearer token, if the network is an
    address."""


@dataclasses.dataclass(frozen=True)
class FigureConfig(Importing):
    """Lay out pictures as the paper's figures do.

    Columns, as the paper's figures 4 and 5: one column per class with the label above, one row per
    run; give several runs of other seeds. Grid, as the paper's figures 1 and 8: classes with their
    labels below, those of the most confident pictures of all runs, no picture twice, or those of
    --classes. Pictures are drawn from archive.npz, without PNGs and without the network.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run directories with the same classes."""
    out: Path | None = None
    """PNG to write. Default: figure.png in the current directory."""
    layout: Literal["columns", "grid"] | None = None
    """Default: columns for up to 20 classes, else grid."""
    classes: str | None = None
    """Classes in this order: indices, ranges from:to:step, WNIDs or labels, such as
    lion,291,n02129165. Default: all; in a grid the --count most confident."""
    count: int = 40
    """Number of pictures in a grid without --classes."""
    columns: int = 8
    """Pictures per line of a grid."""
    cell: int = 112
    """Side of a picture in pixels."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
          UserError: A number is out of range, or there is no run.
        """
        if not self.runs:
            raise UserError("figure: expected one run directory or more")
        check_range(self, "count", least=1, most=1000)
        check_range(self, "columns", least=1, most=100)
        check_range(self, "cell", least=16, most=1024)


@dataclasses.dataclass(frozen=True)
class FilmConfig(Importing):
    """Show how a run's pictures came to be: one class (--class), or the wall of all.

    One class: each picture that held its cell, if the run kept all genomes (`qd-fool evolve
    --keep-genomes all`); else the ancestors of the picture that holds it now, which were in cells
    of other classes, too. The wall needs all genomes. Frames are spread evenly over changes, so
    that the quick beginning gets as many as the slow end. Each frame shows confidence and
    evaluations.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """Run directory."""
    class_name: ClassName = None
    """Class to show: its index, WNID or label, such as 291, n02129165 or lion. Default: all."""
    out: Path | None = None
    """Film to write: .webp, .png (an APNG, lossless) or .mp4 (needs pip install "qd-fool[film]").
    Default: the class's name or wall, as .webp, in the current directory."""
    frames: int = 120
    """Highest number of frames; fewer if fewer pictures changed."""
    seconds: float = 8.0
    """Length of the film in seconds; the last frame is shown longer."""
    size: int | None = None
    """Width of a frame in pixels. Default: about 500 for a class and 960 for the wall."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
          UserError: A number is out of range.
        """
        check_range(self, "frames", least=1)
        check_range(self, "seconds", above=0)
        check_range(self, "size", least=64, most=LARGEST_FRAME)


@dataclasses.dataclass(frozen=True)
class ListModels:
    """List the networks: architecture, weights and their source, licence, accuracy."""

    as_json: JsonSwitch = False
    """One line of JSON per network."""


@dataclasses.dataclass(frozen=True)
class FetchModel:
    """Download a network's published weights into the cache, checked by their hash."""

    name: Annotated[str, tyro.conf.Positional]
    """Name of the network."""


@dataclasses.dataclass(frozen=True)
class CheckModel(Pictured):
    """Show a network's accuracy on photographs: low figures mean wrong weights or preprocessing.

    Photographs are `<WNID>.jpg`, `<WNID>_<any>.jpg`, or in a folder named by their WNID. Their
    short side is made as long as the network's pictures, bicubic, and the centre is cut.
    """

    name: Annotated[str, tyro.conf.Positional]
    """Name of the network, or your own: onnx:FILE, python:FILE.py:FUNCTION or https://..."""
    images: Path
    """Folder of photographs."""
    weights: Path | None = None
    """Weights file for the network instead of its own."""
    mean: Path | None = None
    """Mean image (.npy or .binaryproto) for the networks trained by Caffe on ImageNet."""
    precision: Precision = "float32"
    """Type of parameters and arithmetic: float32 or bfloat16."""
    crops: int = 1
    """Crops averaged per picture: 1 (centre) or 10."""
    convert: Switch = False
    """Turn gray, CMYK, 16-bit, palette, transparent and animated pictures into 8-bit RGB."""
    as_json: JsonSwitch = False
    """Print the result as a line of JSON."""


@dataclasses.dataclass(frozen=True)
class ModelsConfig(Importing):
    """The networks that have a name: list them, fetch their weights, check their accuracy."""

    action: (
        Annotated[ListModels, tyro.conf.subcommand("list")]
        | Annotated[FetchModel, tyro.conf.subcommand("fetch")]
        | Annotated[CheckModel, tyro.conf.subcommand("check")]
    ) = dataclasses.field(default_factory=ListModels)
    json: Switch = False
    """Print lines of JSON."""


@dataclasses.dataclass(frozen=True)
class RenderConfig(Pictured, Importing):
    """Draw a fooling image at any size: a poster of one elite, or of a graph file.

    Prints the confidence in the picture as it was evolved, and in the poster scaled down to that
    size. They can differ: the large picture shows fine detail that the small one sampled only at
    some pixels. --nearest enlarges the pixels that were scored instead.
    """

    source: Annotated[Path, tyro.conf.Positional]
    """Run directory, or a graph written by `qd-fool export RUN --format graphs`."""
    class_name: ClassName = None
    """Class whose elite to draw: its index, WNID or label, such as 291, n02129165 or lion. Needed
    for a run."""
    out: Path | None = None
    """PNG to write. Default: the class's name, or that of the graph file, and the size, such as
    lion_2048.png, in the current directory."""
    size: int = 2048
    """Length of the picture's longer side in pixels."""
    nearest: Switch = False
    """Enlarge the evolved picture pixel by pixel, instead of drawing it again."""
    model: str | None = None
    """Network to score a graph file with. Default: the one that it was evolved against. For a run,
    its own network, which must be named if it is code or an address."""
    weights: Path | None = None
    """Weights file for that network instead of its own."""
    mean: Path | None = None
    """Mean for a network of your own: one number or three with commas between, in 0..255."""


@dataclasses.dataclass(frozen=True)
class ReportConfig(Importing):
    """Write the page of a run, which opens from disk; or one that shows two runs side by side.

    A run writes its page when it ends. Thumbnails are inside; full pictures are read from the run
    directory, unless the page is to be a single file. Pictures that the directory lacks, as those
    of reference archives, are drawn from its genomes first. A run that is running is shown as of
    its newest checkpoint, on a page of its own that holds the pictures.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """One run directory, or two to compare."""
    out: Path | None = None
    """Page to write. Default: report.html in the run's directory (report_single.html for a single
    file, report_so_far.html for a run that has not ended); compare.html in the current directory
    for two runs."""
    single_file: bool = False
    """Put the full pictures into the page, so that it can be sent as one file. 1000 pictures of
    256x256 pixels take about 80 MB."""


@dataclasses.dataclass(frozen=True)
class ScoreConfig(Pictured, Importing):
    """Score pictures: the classes a network is most confident about.

    Pictures are scored as they are, never resized or converted.
    """

    images: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Picture files, 8-bit, gray or RGB as the model expects."""
    model: str = "lenet"
    """Network: a name that `qd-fool models` lists, or your own: onnx:FILE,
    python:FILE.py:FUNCTION for any function of NumPy arrays, or https://... for a service."""
    weights: Path | None = None
    """Weights file for the model instead of its own."""
    mean: Path | None = None
    """Mean image (.npy or .binaryproto) for the networks trained by Caffe on ImageNet."""
    precision: Precision = "float32"
    """Type of parameters and arithmetic: float32 or bfloat16."""
    crops: int = 1
    """Crops averaged per picture: 1 (centre) or 10."""
    top: int = 5
    """Number of classes to print."""
    json: Switch = False
    """Print one line of JSON per picture."""


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Train a LeNet on MNIST and save it for `--weights`.

    MNIST is read through tensorflow-datasets (no TensorFlow); where it is not prepared yet, its
    original files are downloaded and prepared. Needs the extra `data`: pip install qd-fool[data].
    """

    out: Path
    """File to write, .safetensors."""
    seed: int = 0
    """Seed of the weights and of the order of images."""
    recipe: Literal["caffe", "short"] = "caffe"
    """Training recipe: caffe (the original) or short (AdamW on a fifth of the images)."""
    steps: int | None = None
    """Steps of gradient descent. Default: the recipe's 10,000 or 1,000."""
    data_dir: Path | None = None
    """Folder in which tensorflow-datasets keeps its data. Default: TFDS_DATA_DIR or
    ~/tensorflow_datasets."""
