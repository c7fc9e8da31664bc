"""The fooling pictures of an audit's searches, and pictures that fooled other networks."""

import dataclasses
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

from qd_fool.commands.audit.photographs import evenly
from qd_fool.commands.audit.searches import Stage
from qd_fool.commands.audit.subject import AuditSubject
from qd_fool.encodings import make_encoding
from qd_fool.errors import UserError
from qd_fool.judge.audit.report import Picture
from qd_fool.runs.elites import read_elites
from qd_fool.runs.load import load_archive, render_genomes
from qd_fool.runs.pictures import read_image
from qd_fool.scoring.confidence import log_odds_of

FOOLS = 0.5
"""Least confidence of a picture that counts as fooling."""

SURE = 0.99
"""Least confidence of a reference archive's picture, in the network that it was made for."""

JUDGED = 300
"""Highest number of fooling pictures per method that the detectors see."""

SHOWN = {True: 100, False: 1000}
"""Highest number of pictures per reference archive: for the budget "quick", and for others."""

REFERENCES = ("imagenet_cppn_squeezenet", "imagenet_cppn_lite0")
"""Reference archives that come with this package."""


@dataclasses.dataclass(frozen=True, eq=False)
class FoolingSet:
    """Pictures that shall fool the classifier.

    Attributes:
      name: Name of the method that made them.
      words: Description for people.
      images: The pictures.
      targets: Class that each picture was made for; None if the classifier has other classes.
    """

    name: str
    words: str
    images: UInt8[np.ndarray, "n height width channels"]
    targets: Int[np.ndarray, " n"] | None


def pictures_of(stage: Stage, out: Path, subject: AuditSubject) -> list[tuple[float, Picture]]:
    """List the fooling pictures of a search with their log-odds, the most confident first.

    Args:
      stage: A finished search.
      out: Directory of the audit.
      subject: Classifier that is audited.
    """
    found = []
    for row in read_elites(out / stage.run):
        k, confidence = int(row["class_index"]), float(row["confidence"])
        if confidence >= FOOLS and k in stage.classes and k != subject.unknown:
            picture = Picture(f"{stage.run}/{row['png']}", k, confidence, stage.method)
            found.append((float(row["fitness"]), picture))
    return sorted(found, key=lambda each: (-each[0], each[1].class_index))


def read_pictures(
    pictures: list[Picture], out: Path, *, channels: int
) -> UInt8[np.ndarray, "n height width channels"]:
    """Read up to `JUDGED` pictures, evenly spaced.

    Args:
      pictures: Pictures, one or more.
      out: Directory that their paths are relative to.
      channels: Number of channels.
    """
    chosen = [pictures[i] for i in evenly(len(pictures), JUDGED)]
    return np.stack([read_image(out / picture.path, channels=channels) for picture in chosen])


def worst_pictures(
    ranked: dict[str, list[tuple[float, Picture]]], *, most: int = 12
) -> tuple[Picture, ...]:
    """Choose the most confident pictures. Methods take turns, and classes repeat only at the end.

    Args:
      ranked: Pictures of each method with their log-odds, the most confident first.
      most: Highest number of pictures.
    """
    left = {name: [picture for _, picture in found] for name, found in ranked.items() if found}
    chosen: list[Picture] = []
    while len(chosen) < most and left:
        for name in list(left):
            seen = {picture.class_index for picture in chosen}
            new = [i for i, picture in enumerate(left[name]) if picture.class_index not in seen]
            chosen.append(left[name].pop(new[0] if new else 0))
            if not left[name]:
                del left[name]
            if len(chosen) == most:
                break
    return tuple(chosen)


def reference_path(name: str) -> Path:
    """Return the directory of a reference archive: in the package, or in a checkout beside it.

    Args:
      name: Name of the archive.

    Raises:
      UserError: The archive is in neither place.
    """
    package = Path(__file__).parents[2]
    for path in (package / "archives" / name, package.parent / "archives" / name):
        if (path / "archive.npz").is_file():
            return path
    raise UserError(f"the reference archive {name} is missing: install qd-fool again")


def reference_set(name: str, subject: AuditSubject, *, most: int) -> FoolingSet | str:
    """Draw pictures that fooled a public network, at the size of the classifier's pictures.

    Args:
      name: Name of the reference archive.
      subject: Classifier that is audited.
      most: Highest number of pictures.

    Returns:
      The pictures; a sentence, if they were made for this very classifier.
    """
    scorer = subject.scorer
    archive = load_archive(reference_path(name))
    config = archive.run["config"]
    short = name.removeprefix("imagenet_cppn_")
    if config.get("weights_sha256") == scorer.weights_sha256:
        return f"The pictures of {name} were evolved against this very classifier and are left out."
    fitness = np.asarray(archive.archive.fitness)
    ids = np.asarray(archive.archive.id)
    sure = np.flatnonzero(fitness >= log_odds_of(SURE))
    sure = sure[np.unique(ids[sure], return_index=True)[1]]
    cells = np.sort(sure)[evenly(len(sure), most)]
    height, width, channels = scorer.image_shape
    encoding = make_encoding(
        archive.encoding.name, (height, width, 3), **dataclasses.asdict(archive.encoding.settings)
    )
    images = render_genomes(encoding, archive.archive.genomes, cells)
    if channels == 1:
        gray = [np.asarray(Image.fromarray(image).convert("L")) for image in images]
        images = np.stack(gray)[..., None]
    same = scorer.wnids[: len(archive.wnids)] == archive.wnids and bool(archive.wnids)
    words = (
        f"{len(images)} pictures that fooled {config.get('model')} at {SURE} or more, drawn at "
        "this classifier's size"
    )
    return FoolingSet(f"shown-{short}", words, images, cells.astype(np.int32) if same else None)


def previous_set(baseline: Path, subject: AuditSubject) -> FoolingSet | str:
    """Read the fooling pictures beside a baseline's audit.json.

    Args:
      baseline: The audit.json.
      subject: Classifier that is audited.

    Returns:
      The pictures; a sentence, if there are none.
    """
    scorer, found = subject.scorer, []
    for table in sorted(baseline.parent.glob("*/elites.csv")):
        for row in read_elites(table.parent):
            k = int(row["class_index"])
            if float(row["confidence"]) >= FOOLS and k in subject.targets:
                found.append((table.parent / row["png"], k))
    chosen = [found[i] for i in evenly(len(found), JUDGED)] if found else []
    channels = scorer.image_shape[2]
    images = [read_image(path, channels=channels) for path, _ in chosen if path.is_file()]
    if not images or {image.shape for image in images} != {scorer.image_shape}:
        return (
            f"The baseline's fooling pictures are not beside {baseline.name}, or have another "
            "size: they were not shown."
        )
    targets = np.asarray([k for path, k in chosen if path.is_file()], np.int32)
    words = f"{len(images)} pictures that fooled the baseline at {FOOLS} or more"
    return FoolingSet("previous", words, np.stack(images), targets)


def confidence_in_target(
    log_odds: Float[np.ndarray, "n classes"], shown: FoolingSet, *, unknown: int | None
) -> Float[np.ndarray, " n"]:
    """Return log-odds of the pictures' targets or, without targets, of the top known class.

    Args:
      log_odds: Log-odds of all classes.
      shown: The pictures.
      unknown: Index of the class for unknown pictures, or None.
    """
    if shown.targets is not None:
        return log_odds[np.arange(len(log_odds)), shown.targets]
    known = np.delete(log_odds, unknown, axis=1) if unknown is not None else log_odds
    return known.max(axis=1)
