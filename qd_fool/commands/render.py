"""`qd-fool render`: draw a CPPN at any size, from a run or a graph file."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree, UInt8
from PIL import Image
from rich.console import Console

from qd_fool.commands.common.foreign import picture_settings
from qd_fool.commands.common.out_file import file_stem, out_file
from qd_fool.commands.common.subject import stored_subject
from qd_fool.commands.config import RenderConfig
from qd_fool.commands.evolve.newest import find_cell, read_newest
from qd_fool.encodings import Encoding
from qd_fool.encodings.base import LARGEST
from qd_fool.encodings.cppn.graph_json import read_graph
from qd_fool.errors import UserError, check_range
from qd_fool.files import read_json
from qd_fool.models import load_scorer
from qd_fool.models.class_names import find_class
from qd_fool.models.foreign.settings import must_be_named
from qd_fool.models.network import Network, default_chunk
from qd_fool.runs.pictures import to_image, write_image
from qd_fool.runs.stored import open_run
from qd_fool.scoring.confidence import confidence_of
from qd_fool.scoring.crops import check_crops
from qd_fool.scoring.score import score_images


def render_picture(config: RenderConfig, *, console: Console) -> None:
    """Write the picture, and print its confidence.

    Raises:
      UserError: There is no such run, class or graph, the size is out of range, or the file exists.
    """
    check_range(config, "size", least=1, most=LARGEST)
    if config.out is not None:  # checked before anything is read
        out_file(config.out, default="", suffixes=(".png",))

    # Load the genome, and the network to score it with.
    load = _from_run if config.source.is_dir() else _from_file
    encoding, genome, scorer, class_index, crops = load(config, console)
    genome = jax.tree.map(jnp.asarray, genome)
    stem = config.source.stem
    if config.source.is_dir() and scorer is not None and class_index is not None:
        stem = file_stem(scorer.class_names[class_index])
    out = out_file(config.out, default=f"{stem}_{config.size}.png", suffixes=(".png",))
    if scorer is not None:
        check_crops(scorer, encoding.image_shape, crops=crops)

    # Draw.
    height, width, _ = encoding.image_shape
    scale = config.size / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    native = np.asarray(encoding.render(genome))[0]
    if config.nearest:
        picture = _resized(native, size, Image.Resampling.NEAREST)
    elif encoding.render_at is None:
        raise UserError(
            f"the {encoding.name} encoding draws one size only: --nearest enlarges its pixels"
        )
    else:
        picture = np.asarray(encoding.render_at(genome, size))[0]
    write_image(out, picture)
    console.print(f"wrote {out}, {size[1]} x {size[0]} pixels")
    if scorer is None or class_index is None:
        return

    # Score the evolved picture, and the new one scaled down to its size.
    down = _resized(picture, (height, width), Image.Resampling.BOX)
    scores = score_images(
        scorer, np.stack([native, down]), crops=crops, chunk=min(2, default_chunk(scorer))
    )
    evolved, poster = confidence_of(scores[:, class_index])
    top = int(np.argmax(scores[0]))
    other = "" if top == class_index else f" (its top class is {scorer.class_names[top]})"
    console.print(
        f"confidence of {scorer.name} in {scorer.class_names[class_index]}{other}: "
        f"{evolved:.6f} as evolved ({width} x {height}), {poster:.6f} with this picture scaled to "
        "that size"
    )
    if poster < evolved / 2:
        console.print(
            "note: at this size the picture shows detail that the scored one sampled too coarsely; "
            "--nearest enlarges the scored pixels"
        )


Loaded = tuple[Encoding, PyTree[Any], Network | None, int | None, int]


def _from_run(config: RenderConfig, console: Console) -> Loaded:
    run = open_run(config.source)
    if config.class_name is None:
        raise UserError(f"{config.source} is a run: expected --class, the elite to draw")
    name = run.record["config"].get("model")
    named = config.model is None or (config.model == name and must_be_named(config.model))
    if config.weights is not None or not named:
        raise UserError("--model and --weights are for graph files: a run names its network")
    subject = stored_subject(run, token_env=config.token_env)
    archive = read_newest(run, console=console).state.archive
    cell = find_cell(subject.scorer, archive, config.class_name)
    genome = jax.tree.map(lambda a: np.asarray(a)[cell : cell + 1], archive.genomes)
    return subject.encoding, genome, subject.scorer, cell, subject.crops


def _from_file(config: RenderConfig, console: Console) -> Loaded:
    data = read_json(config.source)
    encoding, genome = read_graph(data, source=str(config.source))
    origin = data.get("origin") if isinstance(data.get("origin"), dict) else {}
    class_index = origin.get("class_index") if type(origin.get("class_index")) is int else None
    name = config.model or origin.get("model")
    if config.model is None and isinstance(name, str) and "+" in name:
        console.print(
            f"note: it was evolved against {name}: --model names the network to score it with"
        )
        return encoding, genome, None, None, 1
    if not isinstance(name, str) or (class_index is None and config.class_name is None):
        if name is not None or config.class_name is not None or config.weights is not None:
            raise UserError(
                f"{config.source} does not name its network and class: to score it, give both "
                "--model and --class"
            )
        return encoding, genome, None, None, 1
    scorer = load_scorer(name, weights=config.weights, picture=picture_settings(config))
    if config.class_name is not None:
        class_index = find_class(config.class_name, scorer.class_names, wnids=scorer.wnids)
    if class_index is None or not 0 <= class_index < len(scorer.class_names):
        raise UserError(
            f"class is {class_index}: {name} has classes 0 to {len(scorer.class_names) - 1}"
        )
    known = origin.get("weights_sha256")
    if config.model is None and known not in (None, scorer.weights_sha256):
        console.print(
            f"note: it was evolved against other weights of {name}; --weights names a file"
        )
    if origin.get("mean_sha256") or origin.get("precision", "float32") != "float32":
        console.print(
            "note: it was evolved with --mean or --precision, which this score does not use"
        )
    crops = 10 if origin.get("crops") == 10 else 1
    return encoding, genome, scorer, class_index, crops


def _resized(
    image: UInt8[np.ndarray, "height width channels"],
    size: tuple[int, int],
    how: Image.Resampling,
) -> UInt8[np.ndarray, "new_height new_width channels"]:
    resized = to_image(image).resize((size[1], size[0]), how)
    return np.asarray(resized).reshape(*size, image.shape[2])
