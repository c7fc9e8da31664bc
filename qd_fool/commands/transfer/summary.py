"""What a transfer comes to: rows of `transfer.csv`, and all figures of `transfer.json`."""

import csv
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from qd_fool.commands.transfer.answers import Answers
from qd_fool.commands.transfer.networks import Network
from qd_fool.commands.transfer.sources import Source
from qd_fool.files import replacing
from qd_fool.judge.statistics import median_interval
from qd_fool.judge.transfer import THRESHOLDS, asked, fools_all, fools_both, pair_counts
from qd_fool.scoring.confidence import confidence_of

SCHEMA = 1


OF_RUN = ("encoding", "seed", "crops", "joint")


COLUMNS = (
    "source",
    "image",
    "target_class",
    "target_label",
    "network",
    "own",
    "confidence",
    "log_odds",
    "argmax_class",
    "argmax_label",
    "argmax_confidence",
)


@dataclasses.dataclass(frozen=True, eq=False)
class Transfer:
    """Pictures of several sources, and what several networks say of them.

    Attributes:
      sources: in order; their pictures in a row are the images.
      networks: in order.
      owned: of each source, the indices of the networks it was evolved against; of a folder, that
        of the first of `--to`, which stands in.
      targets: class of each image.
      answers: arrays `(images, networks)`.
      enlarged: how many images each network was shown enlarged, and to which side; 0, 0 for none.
      class_names: in order of index.
      crops: 1 or 10.
    """

    sources: Sequence[Source]
    networks: Sequence[Network]
    owned: Sequence[Sequence[int]]
    targets: Int[np.ndarray, " images"]
    answers: Answers
    enlarged: Sequence[tuple[int, int]]
    class_names: tuple[str, ...]
    crops: int

    @property
    def confidence(self) -> Float[np.ndarray, "images networks"]:
        """In each image's target; NaN where a network was not asked."""
        return confidence_of(self.answers.log_odds)

    def rows(self, index: int) -> slice:
        """The images of a source."""
        start = sum(len(source.paths) for source in self.sources[:index])
        return slice(start, start + len(self.sources[index].paths))

    def places(self) -> list[tuple[int, Path]]:
        """Source and file of each image."""
        return [(s, path) for s, source in enumerate(self.sources) for path in source.paths]


def write_csv(path: Path, transfer: Transfer) -> None:
    """A row an image and network that was asked, by `COLUMNS`."""
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_rows(transfer))


def _rows(transfer: Transfer) -> Iterator[tuple[Any, ...]]:
    names, answers = transfer.class_names, transfer.answers
    confidence, best = transfer.confidence, confidence_of(answers.argmax_log_odds)
    for i, (s, path) in enumerate(transfer.places()):
        target = int(transfer.targets[i])
        source = transfer.sources[s]
        for j, network in enumerate(transfer.networks):
            if np.isnan(confidence[i, j]):
                continue
            seen = int(answers.argmax[i, j])
            yield (
                source.name,
                path.relative_to(source.path).as_posix(),
                target,
                names[target],
                network.name,
                # A folder's stand-in is not what its pictures were made for.
                int(bool(source.run) and j in transfer.owned[s]),
                repr(float(confidence[i, j])),
                repr(float(answers.log_odds[i, j])),
                seen,
                names[seen],
                repr(float(best[i, j])),
            )


def summarise(transfer: Transfer) -> dict[str, Any]:
    """All figures, as values for JSON; null stands for what was not measured."""
    classes = len(transfer.class_names)
    order, least, count = fools_all(transfer.confidence)
    places = transfer.places()
    fooling = [
        {
            "source": transfer.sources[places[i][0]].name,
            "image": places[i][1].relative_to(transfer.sources[places[i][0]].path).as_posix(),
            "target_class": int(transfer.targets[i]),
            "least_confidence": float(least[k]),
        }
        for k, i in enumerate(order[:count])
    ]
    return {
        "schema": SCHEMA,
        "kind": "transfer",
        "crops": transfer.crops,
        "classes": classes,
        "chance": 1 / classes,
        "thresholds": list(THRESHOLDS),
        "networks": [
            _network(network, *transfer.enlarged[j]) for j, network in enumerate(transfer.networks)
        ],
        "sources": [_source(transfer, s) for s in range(len(transfer.sources))],
        "images": len(transfer.targets),
        "fool_all": fooling,
    }


def _network(network: Network, count: int, side: int) -> dict[str, Any]:
    scorer = network.scorer
    return {
        "name": network.name,
        **dataclasses.asdict(network.identity),
        "weights": network.weights,
        "scored": scorer is not None,
        "input_size": scorer.input_size if scorer else None,
        "images_enlarged": count,
        "enlarged_to": side or None,
    }


def _source(transfer: Transfer, index: int) -> dict[str, Any]:
    source, rows = transfer.sources[index], transfer.rows(index)
    confidence = transfer.confidence[rows]
    right = transfer.answers.argmax[rows] == transfer.targets[rows, None]
    measured, names = asked(confidence), [network.name for network in transfer.networks]
    own = transfer.owned[index]
    of_run = {key: source.run["config"].get(key) for key in OF_RUN if source.run}
    both = fools_both(confidence)
    return {
        "name": source.name,
        "path": str(source.path),
        "kind": source.kind,
        "networks": [names[j] for j in own] if source.run else [],
        **of_run,
        "evaluations": source.run.get("evaluations"),
        "status": source.run.get("status"),
        "images": len(confidence),
        "targets_told_by": source.told_by,
        "scores_differ_from_recorded_by": _from_recorded(transfer, index),
        "networks_fooled": {
            name: _column(confidence[:, j], right[:, j]) if measured[j] else None
            for j, name in enumerate(names)
        },
        "pairs": _pairs(confidence, names, own),
        "fool_both_at_99": [[int(n) if n >= 0 else None for n in row] for row in both],
        "fool_all_at_99": fools_all(confidence)[2],
    }


def _from_recorded(transfer: Transfer, index: int) -> float | None:
    """The largest difference between a run's own confidences and those measured here."""
    source, own = transfer.sources[index], transfer.owned[index]
    if source.recorded is None or len(own) != 1 or transfer.networks[own[0]].scorer is None:
        return None
    here = transfer.confidence[transfer.rows(index), own[0]]
    return float(np.abs(here - source.recorded.confidence).max())


def _column(confidence: Float[np.ndarray, " images"], right: Any) -> dict[str, Any]:
    median, low, high = median_interval(confidence)
    return {
        "median_confidence": median,
        "interval_95": [low, high],
        "fooled": {str(t): int((confidence >= t).sum()) for t in THRESHOLDS},
        "argmax_is_target": float(right.mean()),
    }


def _pairs(
    confidence: Float[np.ndarray, "images networks"], names: Sequence[str], own: Sequence[int]
) -> list[dict[str, Any]]:
    """Counts of the first network that a source was evolved against, and was asked, with others."""
    measured = asked(confidence)
    a = next((j for j in own if measured[j]), None)
    if a is None:
        return []
    return [
        {
            "a": names[a],
            "b": names[b],
            "at": {
                str(t): dataclasses.asdict(
                    pair_counts(confidence[:, a], confidence[:, b], threshold=t)
                )
                for t in THRESHOLDS
            },
        }
        for b in range(len(names))
        if b != a and measured[b]
    ]
