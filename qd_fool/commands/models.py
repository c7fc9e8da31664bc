"""`qd-fool models`: the networks there are; fetch their weights, check them on photographs."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from qd_fool.commands.common.progress import progress_bar
from qd_fool.data.photographs import class_of, list_photographs, read_photographs
from qd_fool.errors import UserError
from qd_fool.models import ZOO, load_scorer
from qd_fool.models.fetch import RemoteFile, fetch
from qd_fool.models.load import Precision
from qd_fool.models.network import default_chunk
from qd_fool.models.origin import describe, locate
from qd_fool.scoring.confidence import confidence_of
from qd_fool.scoring.score import SCORE_AT_ONCE, score_function

FACTS = ("architecture", "parameters", "preprocessing", "accuracy", "source", "licence")


BATCH = SCORE_AT_ONCE


@dataclasses.dataclass(frozen=True)
class ListModels:
    """List the networks: architecture, weights and their source, licence, accuracy."""

    as_json: Annotated[tyro.conf.FlagCreatePairsOff[bool], tyro.conf.arg(name="json")] = False
    """A line of JSON a network."""


@dataclasses.dataclass(frozen=True)
class FetchModel:
    """Download a network's published weights into the cache, checked by their hash."""

    name: Annotated[str, tyro.conf.Positional]
    """Of the network."""


@dataclasses.dataclass(frozen=True)
class CheckModel:
    """Tell a network's accuracy on photographs: low figures mean wrong weights or preprocessing.

    Photographs are `<WNID>.jpg`, `<WNID>_<any>.jpg`, or in a folder named by their WNID. Their
    short side is made as long as the network's pictures, bicubic, and the centre is cut.
    """

    name: Annotated[str, tyro.conf.Positional]
    """Of the network."""
    images: Path
    """A folder of photographs."""
    weights: Path | None = None
    """A weights file for the network instead of its own."""
    mean: Path | None = None
    """A mean image (.npy or .binaryproto) for the networks trained by Caffe on ImageNet."""
    precision: Precision = "float32"
    """float32, or bfloat16 for parameters and arithmetic."""
    crops: int = 1
    """Crops averaged a picture: 1 (centre) or 10."""
    convert: tyro.conf.FlagCreatePairsOff[bool] = False
    """Turn gray, CMYK, 16-bit, palette, transparent and animated pictures into 8-bit RGB."""
    as_json: Annotated[tyro.conf.FlagCreatePairsOff[bool], tyro.conf.arg(name="json")] = False
    """The result as a line of JSON."""


@dataclasses.dataclass(frozen=True)
class ModelsConfig:
    """The networks that have a name: list them, fetch their weights, check their accuracy."""

    action: (
        Annotated[ListModels, tyro.conf.subcommand("list")]
        | Annotated[FetchModel, tyro.conf.subcommand("fetch")]
        | Annotated[CheckModel, tyro.conf.subcommand("check")]
    ) = dataclasses.field(default_factory=ListModels)
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Lines of JSON."""


def models_command(config: ModelsConfig, *, console: Console, errors: Console) -> None:
    """Do what was asked for.

    Args:
      config: The action.
      console: Standard output, for results.
      errors: Standard error, for progress.

    Raises:
      UserError: no such model, weights not to be had, photographs not to be read.
    """
    match config.action:
        case ListModels():
            _list(console, as_json=config.json or config.action.as_json)
        case FetchModel(name):
            _fetch(name, console)
        case CheckModel():
            _check(
                config.action,
                console,
                errors=errors,
                as_json=config.json or config.action.as_json,
            )


def facts_of(name: str) -> dict[str, Any]:
    """What is known of a network, as values for JSON."""
    entry = ZOO[name]
    facts = {"name": name} | {fact: getattr(entry, fact) for fact in FACTS}
    return facts | {k: v for k, v in describe(entry.origin).items() if v}


def _list(console: Console, *, as_json: bool) -> None:
    for name in ZOO:
        facts = facts_of(name)
        if as_json:
            console.print(json.dumps(facts))
            continue
        table = Table(show_header=False, box=None)
        table.add_column(style="bold", no_wrap=True)
        table.add_column()
        for fact, value in facts.items():
            table.add_row(fact, f"{value:,}" if isinstance(value, int) else value)
        console.print(table)
        console.print()


def _fetch(name: str, console: Console) -> None:
    origin = ZOO[name].origin
    path = fetch(origin) if isinstance(origin, RemoteFile) else locate(origin, model=name)
    console.print(f"{name}: {path}")


def _check(action: CheckModel, console: Console, *, errors: Console, as_json: bool) -> None:
    scorer = load_scorer(
        action.name, weights=action.weights, mean=action.mean, precision=action.precision
    )
    if not scorer.wnids:
        raise UserError(f"{action.name} does not know ImageNet's classes: photographs tell nothing")
    paths = list_photographs(action.images)
    classes = [class_of(path, scorer.wnids) for path in paths]
    score = score_function(scorer, crops=action.crops, chunk=default_chunk(scorer))
    batches = read_photographs(
        paths, side=scorer.image_shape[0], convert=action.convert, batch=BATCH
    )
    ranks, own = [], []
    with progress_bar(errors, "photograph", total=len(paths), transient=True) as bar:
        for i, batch in enumerate(batches):
            n = len(batch)
            scores = score(scorer.params, batch)
            if not np.isfinite(scores).all():
                raise UserError(f"{scorer.name} ({scorer.weights}) gives NaN or infinite scores")
            mine = np.asarray(classes[i * BATCH : i * BATCH + n])
            right = scores[np.arange(n), mine]
            # Ties count against the network: one that sees no difference knows nothing.
            ranks.append((scores >= right[:, None]).sum(axis=1) - 1)
            own.append(confidence_of(right))
            bar.advance(n)
    rank, confidence = np.concatenate(ranks), np.concatenate(own)
    facts = {
        "model": action.name,
        "weights": scorer.weights,
        "weights_sha256": scorer.weights_sha256,
        "precision": action.precision,
        "crops": action.crops,
        "photographs": len(paths),
        "top1": round(float((rank < 1).mean()), 4),
        "top5": round(float((rank < 5).mean()), 4),
        "mean_confidence": round(float(confidence.mean()), 4),
    }
    if as_json:
        sys.stdout.write(json.dumps(facts) + "\n")
        return
    console.print(
        f"{action.name} ({scorer.weights}) on {len(paths)} photographs of {action.images}: "
        f"top-1 {facts['top1']:.1%}, top-5 {facts['top5']:.1%}, mean confidence in the right class "
        f"{facts['mean_confidence']:.1%}"
    )
