"""`qd-fool score`: the most confident classes of a network for pictures on disk."""

import json
import sys

import numpy as np
from rich.console import Console

from qd_fool.commands.common.networks import load_network
from qd_fool.commands.common.plain_text import plain_text
from qd_fool.commands.common.progress import progress_bar
from qd_fool.commands.config import ScoreConfig
from qd_fool.errors import UserError, check_range
from qd_fool.models.network import default_chunk
from qd_fool.runs.pictures import read_image
from qd_fool.scoring.bad import is_bad
from qd_fool.scoring.crops import check_crops
from qd_fool.scoring.score import score_images, top_classes


def score_files(config: ScoreConfig, *, console: Console) -> None:
    """Print the most confident classes of each picture to standard output, in order.

    Args:
      config: Pictures and network.
      console: Console for progress.

    Raises:
      UserError: A picture can't be read, or does not have the shape that the network expects.
    """
    if not config.images:
        raise UserError("score needs at least one image file")
    check_range(config, "top", least=1)
    scorer = load_network(config.model, config)
    channels = scorer.image_shape[2]
    pictures = [read_image(path, channels=channels) for path in config.images]
    for path, picture in zip(config.images, pictures, strict=True):
        try:
            check_crops(scorer, picture.shape, crops=config.crops)
        except UserError as error:
            raise UserError(f"image {path}: {error}") from error
    # One call per shape, so that a score does not depend on the other pictures.
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for i, picture in enumerate(pictures):
        by_shape.setdefault(picture.shape, []).append(i)
    scores: list[np.ndarray] = [np.empty(0)] * len(pictures)
    with progress_bar(console, "picture", total=len(pictures), transient=True) as bar:
        for members in by_shape.values():
            batch = np.stack([pictures[i] for i in members])
            out = score_images(scorer, batch, crops=config.crops, chunk=default_chunk(scorer))
            if is_bad(out).any():
                raise UserError(f"{scorer.name} ({scorer.weights}) gives NaN or infinite scores")
            for i, row in zip(members, out, strict=True):
                scores[i] = row
            bar.advance(len(members))
    for path, row in zip(config.images, scores, strict=True):
        top = top_classes(row, scorer.class_names, count=config.top)
        if config.json:
            line = json.dumps({"image": str(path), "top": top}, ensure_ascii=False)
        else:
            classes = "  ".join(f"{t['label']} {t['confidence']:.6f}" for t in top)
            line = f"{path}: {classes}"
        sys.stdout.write(plain_text(line, lines=False) + "\n")
