"""Pictures that `qd-fool transfer` scores: the elites of runs, and plain folders of pictures."""

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from rich.console import Console

from qd_fool.errors import UserError
from qd_fool.models.network import SingleNetwork
from qd_fool.runs.elites import read_elites
from qd_fool.runs.pictures import read_image
from qd_fool.runs.snapshot import readable
from qd_fool.runs.stored import open_run

SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})


NAMED_BY_INDEX = re.compile(r"(\d{4})_.")


NAMED_BY_WNID = re.compile(r"(?<![0-9A-Za-z])n\d{8}(?!\d)")


@dataclasses.dataclass(frozen=True)
class Recorded:
    """The scores that a run recorded for its pictures, arrays `(images,)`.

    Attributes:
      confidence: Confidence in the target class.
      log_odds: Log-odds of the target class.
      argmax: Top class: the class that the network was most confident about.
      argmax_confidence: Confidence in the top class.
    """

    confidence: Float[np.ndarray, " images"]
    log_odds: Float[np.ndarray, " images"]
    argmax: Int[np.ndarray, " images"]
    argmax_confidence: Float[np.ndarray, " images"]


@dataclasses.dataclass(frozen=True)
class Source:
    """A run, or a folder, and its pictures.

    Attributes:
      name: Name for people; no two sources have the same.
      path: Path of the directory, as the command names it.
      folder: Directory that holds the pictures: the same, or a temporary copy.
      kind: "evolution", "ascent", "joint" (evolved against several networks) or "pictures".
      run: Contents of `run.json`; empty for pictures.
      paths: Files of the pictures.
      targets: Target class of each picture; -1 if it is not known.
      told_by: Number of targets by the source of the class: "run", "index", "wnid", "nothing".
      recorded: Scores that a run recorded; None for pictures, and for a run that has not ended.
    """

    name: str
    path: Path
    folder: Path
    kind: str
    run: dict[str, Any]
    paths: tuple[Path, ...]
    targets: Int[np.ndarray, " images"]
    told_by: dict[str, int]
    recorded: Recorded | None = None


@contextmanager
def read_sources(
    paths: Sequence[Path], like: SingleNetwork, *, console: Console
) -> Iterator[list[Source]]:
    """Yield runs and folders, in order. Pictures are drawn if need be; none is decoded yet.

    Args:
      paths: Directories, each with a `run.json`, or with pictures. A run may be running.
      like: Network whose classes all sources must have.
      console: Console for notes about runs that have not ended or lack pictures.

    Raises:
      UserError: A directory holds neither, is given twice, or has other classes.
    """
    real = [path.resolve() for path in paths]
    for path, resolved in zip(paths, real, strict=True):
        if real.count(resolved) > 1:
            raise UserError(f"{path} is given more than once: expected different runs")
        if not path.is_dir():
            raise UserError(f"{path}: no such directory, expected a run or a folder of pictures")
    last = [path.name for path in real]
    names = [
        name if last.count(name) == 1 else str(path) for name, path in zip(last, paths, strict=True)
    ]
    with ExitStack() as stack:
        sources = []
        for path, name in zip(paths, names, strict=True):
            if not (path / "run.json").exists():
                sources.append(_read_folder(path, name, like))
                continue
            check_classes(path, like)
            found = stack.enter_context(readable(path))
            if found.words:
                console.print(found.words)
            sources.append(_read_run_source(path, found.path, name, like))
        yield sources


def check_classes(path: Path, like: SingleNetwork) -> None:
    """Check that a run has as many classes as a network.

    Raises:
      UserError: The directory is not a run directory, or the numbers differ.
    """
    run, classes = open_run(path), len(like.class_names)
    if run.classes != classes:
        raise UserError(
            f"{path} has {run.classes} classes and {like.name} {classes}: expected the same"
        )


def _read_run_source(path: Path, folder: Path, name: str, like: SingleNetwork) -> Source:
    """A run, with its elites as pictures, which lie in a folder."""
    run, classes = open_run(folder), len(like.class_names)
    rows = read_elites(folder)
    if not rows:
        raise UserError(f"{path / 'elites.csv'}: found no elites, expected one or more")
    try:
        targets = np.asarray([int(row["class_index"]) for row in rows])
        recorded = _recorded(rows)
    except (ValueError, IndexError, TypeError) as error:
        raise UserError(
            f"{path / 'elites.csv'}: expected numbers in class_index, confidence, fitness and top5 "
            f"({error})"
        ) from error
    if targets.min() < 0 or targets.max() >= classes:
        raise UserError(f"{path / 'elites.csv'}: class_index goes beyond 0..{classes - 1}")
    kind = "joint" if len(run.networks) > 1 else run.kind
    return Source(
        name=name,
        path=path,
        folder=folder,
        kind=kind,
        run=run.record,
        paths=tuple(folder / row["png"] for row in rows),
        targets=targets,
        told_by={"run": len(rows)},
        recorded=recorded,
    )


def _recorded(rows: Sequence[dict[str, str]]) -> Recorded | None:
    """The scores in rows of `elites.csv`; None if the pictures were not scored again."""
    tops = [json.loads(row["top5"]) for row in rows]
    if not all(tops):
        return None
    top = [found[0] for found in tops]
    return Recorded(
        np.asarray([float(row["confidence"]) for row in rows]),
        np.asarray([float(row["fitness"]) for row in rows]),
        np.asarray([int(k) for k, _ in top]),
        np.asarray([float(confidence) for _, confidence in top]),
    )


def _read_folder(path: Path, name: str, like: SingleNetwork) -> Source:
    """A folder of pictures, and of pictures one level below."""
    paths = sorted(
        file
        for pattern in ("*", "*/*")
        for file in path.glob(pattern)
        if file.suffix.lower() in SUFFIXES
        and not file.name.startswith(".")
        and file.is_file()
        # The plots of a former transfer are not pictures; they are in a folder below by default.
        and not (file.parent / "transfer.json").exists()
    )
    if not paths:
        raise UserError(
            f"{path} holds neither a run.json nor pictures: expected a run, or files that end in "
            f"{', '.join(sorted(SUFFIXES))}, there or one directory below"
        )
    wnids = {wnid: k for k, wnid in enumerate(like.wnids)}
    targets = [_target(file, wnids, classes=len(like.class_names)) for file in paths]
    ways = [way for _, way in targets]
    return Source(
        name=name,
        path=path,
        folder=path,
        kind="pictures",
        run={},
        paths=tuple(paths),
        targets=np.asarray([target for target, _ in targets]),
        told_by={way: ways.count(way) for way in dict.fromkeys(ways)},
    )


def _target(path: Path, wnids: dict[str, int], *, classes: int) -> tuple[int, str]:
    """The class in the name of a picture or its folder, and its source; else -1 and "nothing"."""
    for text in (path.stem, path.parent.name):
        for wnid in NAMED_BY_WNID.findall(text):
            if wnid in wnids:
                return wnids[wnid], "wnid"
    index = NAMED_BY_INDEX.match(path.stem)
    if index and int(index[1]) < classes:
        return int(index[1]), "index"
    return -1, "nothing"


def read_shapes(sources: Sequence[Source], *, channels: int) -> list[tuple[int, int, int]]:
    """The shape of every picture, one source after another. Pictures are not kept in memory.

    Raises:
      UserError: A picture can't be read, or has other channels.
    """
    shapes = []
    for source in sources:
        for path in source.paths:
            height, width, _ = read_image(path, channels=channels).shape
            shapes.append((height, width, channels))
    return shapes
