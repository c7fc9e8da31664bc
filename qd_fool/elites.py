"""From an archive to pictures on disk, and back: rendering, saving and re-scoring elites."""

import csv
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Integer, PyTree, UInt8
from PIL import Image

from qd_fool.archive import ClassArchive
from qd_fool.chunks import map_chunks
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.files import replacing
from qd_fool.kernel import evaluate
from qd_fool.map_elites import EvolutionState
from qd_fool.mesh import AXIS, make_mesh
from qd_fool.models import Scorer
from qd_fool.runs import ELITES, confidence_of


def render_elites(
    archive: ClassArchive, encoding: Encoding, *, chunk: int
) -> UInt8[np.ndarray, "cells height width channels"]:
    """The picture of every cell; of an empty one, whatever its blank genome shows."""
    render = jax.jit(lambda genomes: map_chunks(encoding.render, genomes, chunk=chunk))
    return np.asarray(render(archive.genomes))


ScoreFunction = Callable[[PyTree[Array], np.ndarray], np.ndarray]
"""`(params, images (n, height, width, channels) uint8) -> log-odds (n, classes)`."""

SCORE_AT_ONCE = 200
"""Pictures a call of a compiled score function, at most about; any larger number is cut up."""


def score_function(scorer: Scorer, *, crops: int, chunk: int) -> ScoreFunction:
    """Scores 8-bit pictures, any number, over all devices; compiled once from 200 pictures on.

    Each device scores whole chunks, as in evolution; so the scores are those of evolution, too.
    """
    mesh = make_mesh()
    split, everywhere = PartitionSpec(AXIS), PartitionSpec()
    score = jax.jit(
        jax.shard_map(
            lambda p, x: evaluate(scorer, p, x, crops=crops, chunk=chunk),
            mesh=mesh,
            in_specs=(everywhere, split),
            out_specs=split,
            check_vma=False,
        )
    )

    def call(params: PyTree[Array], images: np.ndarray) -> np.ndarray:
        n = len(images)
        least = chunk * mesh.devices.size
        step = least * max(1, min(-(-n // least), SCORE_AT_ONCE // least))
        filled = np.concatenate([images, np.repeat(images[:1], -n % step, axis=0)])
        parts = [score(params, filled[i : i + step]) for i in range(0, len(filled), step)]
        return np.concatenate([np.asarray(part) for part in parts])[:n]

    return call


def score_images(
    scorer: Scorer, images: UInt8[np.ndarray, "n height width channels"], *, crops: int, chunk: int
) -> Float[np.ndarray, "n classes"]:
    """Log-odds of 8-bit pictures, scored as evolution scores them."""
    return score_function(scorer, crops=crops, chunk=chunk)(scorer.params, images)


def read_image(path: Path, *, channels: int) -> UInt8[np.ndarray, "height width channels"]:
    """A picture's bytes, exactly as stored: no conversion, no resizing.

    Raises:
      UserError: not a readable picture, or not 8-bit gray (1 channel) or RGB (3).
    """
    want = {1: "L", 3: "RGB"}[channels]
    try:
        with Image.open(path) as image:
            image.load()
            mode, pixels = image.mode, np.asarray(image)
    except OSError as error:
        raise UserError(f"image {path}: cannot be read ({error})") from error
    except (ValueError, Image.DecompressionBombError, SyntaxError) as error:
        raise UserError(f"image {path}: not a picture that Pillow can read ({error})") from error
    if mode != want:
        name = "8-bit gray" if want == "L" else "8-bit RGB"
        raise UserError(f"image {path}: its mode is {mode}, expected {want} ({name})")
    return pixels.reshape(*pixels.shape[:2], channels)


def write_image(path: Path, image: UInt8[np.ndarray, "height width channels"]) -> None:
    """Save as PNG, lossless."""
    with replacing(path) as partial:
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(partial)


def png_name(class_index: int, label: str) -> str:
    """`0291_lion.png`: sorts by class, readable, safe on any file system."""
    first = label.split(",")[0]
    safe = re.sub(r"[^0-9A-Za-z]+", "_", first).strip("_") or "class"
    return f"{class_index:04d}_{safe}.png"


def top_classes(
    log_odds: Float[np.ndarray, " classes"], names: tuple[str, ...], *, count: int
) -> list[dict[str, Any]]:
    """The most confident classes, best first: `class_index`, `label`, `confidence`."""
    order = np.argsort(-log_odds, kind="stable")[:count]
    confidence = confidence_of(log_odds)
    return [
        {"class_index": int(k), "label": names[k], "confidence": float(confidence[k])}
        for k in order
    ]


def write_elites(
    directory: Path,
    state: EvolutionState,
    *,
    scorer: Scorer,
    encoding: Encoding,
    score: ScoreFunction,
    chunk: int,
) -> float:
    """Write `elites/` and `elites.csv`, then read every PNG back from disk and score it again.

    Args:
      directory: of the run.
      state: on the host.
      scorer: the network.
      encoding: of the genomes.
      score: as evolved with.
      chunk: pictures rendered at once.

    Returns:
      The largest absolute difference, over elites, between the confidence that the archive holds
      and that of the PNG as read from disk. 0.0 for an empty archive.
    """
    archive = state.archive
    cells: Integer[np.ndarray, " n"] = np.flatnonzero(np.asarray(archive.fitness) > -np.inf)
    folder = directory / "elites"
    folder.mkdir(exist_ok=True)
    images = render_elites(archive, encoding, chunk=chunk)
    names = [png_name(int(k), scorer.class_names[k]) for k in cells]
    channels = encoding.image_shape[2]

    def there_and_back(cell: int, name: str) -> np.ndarray:
        write_image(folder / name, images[cell])
        return read_image(folder / name, channels=channels)

    # Packing pixels takes most of the time, and lets other threads run.
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(there_and_back, cells, names))
    # With no elites, one blank picture is scored for nothing, and no row is written.
    stack = np.stack(read) if read else images[:1]
    again = score(scorer.params, stack)
    archived = np.asarray(archive.fitness)[cells]
    rescored = again[np.arange(len(cells)), cells]
    differences = np.abs(confidence_of(archived) - confidence_of(rescored))
    lineage = (archive.born, archive.id, archive.parent_id, archive.parent_class)
    with (
        replacing(directory / "elites.csv") as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(ELITES)
        for i, cell in enumerate(cells):
            top = top_classes(again[i], scorer.class_names, count=5)
            writer.writerow(
                (
                    int(cell),
                    scorer.class_names[cell],
                    repr(float(confidence_of(archived[i]))),
                    repr(float(archived[i])),
                    *(int(np.asarray(field)[cell]) for field in lineage),
                    f"elites/{names[i]}",
                    json.dumps([[t["class_index"], t["confidence"]] for t in top]),
                )
            )
    return float(differences.max(initial=0.0))
