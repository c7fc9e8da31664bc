"""The results of a transfer: rows of `transfer.csv`, and the figures of `transfer.json`."""

import csv
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from qd_fool.commands.transfer.answers import Answers
from qd_fool.commands.transfer.figures import (
    FooledRow,
    FoolingImage,
    NetworkRow,
    PairRow,
    RunFacts,
    SourceRow,
    Summary,
)
from qd_fool.commands.transfer.networks import Network
from qd_fool.commands.transfer.sources import Source
from qd_fool.files import cell_of, replacing
from qd_fool.judge.statistics import median_interval
from qd_fool.judge.transfer import THRESHOLDS, asked, fools_all, fools_both, pair_counts
from qd_fool.scoring.confidence import confidence_of

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
    """Pictures of several sources, and the answers of several networks.

    Attributes:
      sources: Sources, in order. Their pictures, one source after another, are the images.
      networks: Networks, in order.
      made_against: Indices of the networks that each source was evolved against. For a folder,
        the index of the first network of `--to`.
      targets: Target class of each image.
      answers: Answers, arrays `(images, networks)`.
      enlarged: Number of images that were enlarged for each network, and their side; or 0, 0.
      class_names: Names of the classes, in order of index.
      crops: Crops per picture: 1 or 10.
    """

    sources: Sequence[Source]
    networks: Sequence[Network]
    made_against: Sequence[Sequence[int]]
    targets: Int[np.ndarray, " images"]
    answers: Answers
    enlarged: Sequence[tuple[int, int]]
    class_names: tuple[str, ...]
    crops: int

    @property
    def paths(self) -> list[Path]:
        """Files of the images."""
        return [path for source in self.sources for path in source.paths]

    @property
    def confidence(self) -> Float[np.ndarray, "images networks"]:
        """Confidence in each image's target; NaN if a network was not asked."""
        return confidence_of(self.answers.log_odds)

    def rows(self, index: int) -> slice:
        """Indices of the images of a source."""
        start = sum(len(source.paths) for source in self.sources[:index])
        return slice(start, start + len(self.sources[index].paths))

    def places(self) -> list[tuple[int, Path]]:
        """Index of the source, and file, of each image."""
        return [(s, path) for s, source in enumerate(self.sources) for path in source.paths]


def write_csv(path: Path, transfer: Transfer) -> None:
    """Write `transfer.csv`: one row per image and network that was asked."""
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(map(cell_of, row) for row in _rows(transfer))


def _rows(transfer: Transfer) -> Iterator[tuple[Any, ...]]:
    """Rows of `transfer.csv`, by `COLUMNS`."""
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
                path.relative_to(source.folder).as_posix(),
                target,
                names[target],
                network.name,
                # The pictures of a folder were not made for the first network of --to.
                int(bool(source.run) and j in transfer.made_against[s]),
                repr(float(confidence[i, j])),
                repr(float(answers.log_odds[i, j])),
                seen,
                names[seen],
                repr(float(best[i, j])),
            )


def summarise(transfer: Transfer, *, notes: Sequence[str], command: str) -> Summary:
    """All figures of a transfer.

    Args:
      transfer: Pictures, networks and answers.
      notes: Sentences that a reader of the figures needs.
      command: Command that writes the same again.
    """
    order, least, count = fools_all(transfer.confidence)
    places = transfer.places()

    def fooling_image(image: int, confidence: float) -> FoolingImage:
        source, path = transfer.sources[places[image][0]], places[image][1]
        return FoolingImage(
            source=source.name,
            image=path.relative_to(source.folder).as_posix(),
            target_class=int(transfer.targets[image]),
            least_confidence=float(confidence),
        )

    classes = len(transfer.class_names)
    return Summary(
        crops=transfer.crops,
        classes=classes,
        chance=1 / classes,
        thresholds=THRESHOLDS,
        networks=tuple(
            _network_row(network, images=images, side=side)
            for network, (images, side) in zip(transfer.networks, transfer.enlarged, strict=True)
        ),
        sources=tuple(_source_row(transfer, s) for s in range(len(transfer.sources))),
        images=len(transfer.targets),
        fool_all=tuple(
            fooling_image(int(i), p) for i, p in zip(order[:count], least[:count], strict=True)
        ),
        notes=tuple(notes),
        command=command,
    )


def _network_row(network: Network, *, images: int, side: int) -> NetworkRow:
    """The row of a network, with the number of images enlarged for it and their side."""
    scorer = network.scorer
    return NetworkRow(
        name=network.name,
        **dataclasses.asdict(network.identity),
        weights=network.weights,
        scored=scorer is not None,
        input_size=scorer.input_size if scorer else None,
        images_enlarged=images,
        enlarged_to=side or None,
    )


def _source_row(transfer: Transfer, index: int) -> SourceRow:
    """The figures of one source."""
    source, rows = transfer.sources[index], transfer.rows(index)
    names = [network.name for network in transfer.networks]
    made_against = transfer.made_against[index]
    confidence = transfer.confidence[rows]
    right = transfer.answers.argmax[rows] == transfer.targets[rows, None]
    measured = asked(confidence)
    return SourceRow(
        name=source.name,
        path=str(source.path),
        kind=source.kind,
        networks=tuple(names[j] for j in made_against) if source.run else (),
        run=_run_facts(source.run) if source.run else None,
        images=len(confidence),
        targets_told_by=source.told_by,
        scores_differ_from_recorded_by=_from_recorded(transfer, index),
        networks_fooled={
            name: _fooled_row(confidence[:, j], right[:, j]) if measured[j] else None
            for j, name in enumerate(names)
        },
        pairs=_pair_rows(confidence, names, made_against=made_against),
        fool_both_at_99=tuple(
            tuple(int(n) if n >= 0 else None for n in row) for row in fools_both(confidence)
        ),
        fool_all_at_99=fools_all(confidence)[2],
    )


def _run_facts(run: Mapping[str, Any]) -> RunFacts:
    """Facts of a run, from its `run.json`."""
    of_config = {name: run["config"].get(name) for name in ("encoding", "seed", "crops", "joint")}
    return RunFacts(**of_config, evaluations=run.get("evaluations"), status=run.get("status"))


def _from_recorded(transfer: Transfer, index: int) -> float | None:
    """The largest difference between confidences that a run recorded and those measured here."""
    source, made_against = transfer.sources[index], transfer.made_against[index]
    if source.recorded is None or len(made_against) != 1:
        return None
    if transfer.networks[made_against[0]].scorer is None:
        return None
    here = transfer.confidence[transfer.rows(index), made_against[0]]
    return float(np.abs(here - source.recorded.confidence).max())


def _fooled_row(
    confidence: Float[np.ndarray, " images"], right: Bool[np.ndarray, " images"]
) -> FooledRow:
    """How far images fool one network.

    Args:
      confidence: Confidence of the network in each image's target.
      right: Whether the target is the network's top class.
    """
    median, low, high = median_interval(confidence)
    return FooledRow(
        median_confidence=median,
        interval_95=(low, high),
        fooled={str(t): int((confidence >= t).sum()) for t in THRESHOLDS},
        argmax_is_target=float(right.mean()),
    )


def _pair_rows(
    confidence: Float[np.ndarray, "images networks"],
    names: Sequence[str],
    *,
    made_against: Sequence[int],
) -> tuple[PairRow, ...]:
    """The counts of each pair of a network that the source was made against and another.

    The first such network that was asked is taken.

    Args:
      confidence: Confidence in each image's target; NaN if a network was not asked.
      names: Names of the networks.
      made_against: Indices of the networks that the source was made against.
    """
    measured = asked(confidence)
    a = next((j for j in made_against if measured[j]), None)
    if a is None:
        return ()
    return tuple(
        PairRow(
            a=names[a],
            b=names[b],
            at={
                str(t): pair_counts(confidence[:, a], confidence[:, b], threshold=t)
                for t in THRESHOLDS
            },
        )
        for b in range(len(names))
        if b != a and measured[b]
    )
