"""Figures of a transfer, as `transfer.json` holds them: one class per kind of row."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from qd_fool.judge.transfer import PairCounts
from qd_fool.models.sides import Size

SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class NetworkRow:
    """A network and the pictures that it was shown enlarged.

    Attributes:
      name: Name for people; no two networks have the same.
      model: Name in the zoo.
      weights_sha256: Digest of the weights file.
      mean_sha256: Digest of a mean image; empty if there is none.
      precision: Precision of the arithmetic.
      weights: Name of the weights file.
      scored: Whether the network could be loaded and scored the pictures.
      input_size: Side of the network's input, or height and width; None if it was not loaded.
      images_enlarged: Number of pictures that were enlarged for the network.
      enlarged_to: Short side of enlarged pictures; None if there are none.
    """

    name: str
    model: str
    weights_sha256: str
    mean_sha256: str
    precision: str
    weights: str
    scored: bool
    input_size: Size | None
    images_enlarged: int
    enlarged_to: int | None


@dataclasses.dataclass(frozen=True)
class FooledRow:
    """How far the pictures of a source fool one network.

    Attributes:
      median_confidence: Median confidence in the pictures' targets.
      interval_95: Bootstrap interval (95%) of the median.
      fooled: Number of pictures that fool the network, by threshold.
      argmax_is_target: Share of pictures whose target is the network's top class.
    """

    median_confidence: float
    interval_95: tuple[float, float]
    fooled: Mapping[str, int]
    argmax_is_target: float


@dataclasses.dataclass(frozen=True)
class PairRow:
    """The counts of pictures that fool one network, another, or both.

    Attributes:
      a: Name of the network that the pictures were made against.
      b: Name of the other network.
      at: Counts by threshold.
    """

    a: str
    b: str
    at: Mapping[str, PairCounts]


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """The facts of a run, from `run.json`; None for a missing fact.

    Attributes:
      encoding: Encoding of the genomes.
      seed: Seed of the run.
      crops: Crops per picture with which the run scored.
      joint: Rule that joins several networks.
      evaluations: Counted evaluations.
      status: Status of the run.
    """

    encoding: Any
    seed: Any
    crops: Any
    joint: Any
    evaluations: Any
    status: Any


@dataclasses.dataclass(frozen=True)
class SourceRow:
    """A run or a folder, with the figures of its pictures on all networks.

    Attributes:
      name: Name for people; no two sources have the same.
      path: Path of the directory, as the command names it.
      kind: "evolution", "ascent", "joint" or "pictures".
      networks: Names of the networks that the pictures were made against; none for a folder.
      run: Facts of a run; None for a folder.
      images: Number of pictures.
      targets_told_by: Number of targets by the source of the class: "run", "index", "wnid",
        "nothing".
      scores_differ_from_recorded_by: Largest difference between confidences that the run recorded
        and those measured here; None if they can't be compared.
      networks_fooled: Figures by name of the network; None if the network was not asked.
      pairs: Counts for each pair of the network that the pictures were made against and another.
      fool_both_at_99: Pictures that fool both of two networks, in the order of the networks; None
        if a network was not asked.
      fool_all_at_99: Pictures that fool all networks that were asked.
    """

    name: str
    path: str
    kind: str
    networks: tuple[str, ...]
    run: RunFacts | None
    images: int
    targets_told_by: Mapping[str, int]
    scores_differ_from_recorded_by: float | None
    networks_fooled: Mapping[str, FooledRow | None]
    pairs: tuple[PairRow, ...]
    fool_both_at_99: tuple[tuple[int | None, ...], ...]
    fool_all_at_99: int


@dataclasses.dataclass(frozen=True)
class FoolingImage:
    """A picture that fools every network that was asked.

    Attributes:
      source: Name of the source.
      image: Path of the picture within the source.
      target_class: Class of the picture's target.
      least_confidence: Least confidence of any network in that class.
    """

    source: str
    image: str
    target_class: int
    least_confidence: float


@dataclasses.dataclass(frozen=True)
class Summary:
    """All figures of a transfer.

    Attributes:
      crops: Crops per picture: 1 or 10.
      classes: Number of classes of the networks.
      chance: Confidence of a network that guesses.
      thresholds: Confidences from which a picture counts as fooling.
      networks: Networks, in order.
      sources: Sources, in order.
      images: Number of pictures in all sources.
      fool_all: Pictures that fool all networks, in falling order of the least confidence.
      notes: Sentences that a reader of the figures needs.
      command: Command that writes the same again.
      files: Names of the other files in the directory.
    """

    crops: int
    classes: int
    chance: float
    thresholds: tuple[float, ...]
    networks: tuple[NetworkRow, ...]
    sources: tuple[SourceRow, ...]
    images: int
    fool_all: tuple[FoolingImage, ...]
    notes: tuple[str, ...]
    command: str
    files: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Names of the networks, in order."""
        return [network.name for network in self.networks]


def summary_json(summary: Summary) -> dict[str, Any]:
    """The contents of `transfer.json`; null stands for figures that were not measured."""
    facts = dataclasses.asdict(summary)
    facts["sources"] = [_source_json(source) for source in facts["sources"]]
    return {"schema": SCHEMA, "kind": "transfer", **facts}


def _source_json(source: dict[str, Any]) -> dict[str, Any]:
    """A source with the facts of its run inserted after the networks."""
    run = source["run"] or {}
    facts = {name: value for name, value in run.items() if name not in ("evaluations", "status")}
    facts |= {name: run.get(name) for name in ("evaluations", "status")}
    flat: dict[str, Any] = {}
    for name, value in source.items():
        flat |= facts if name == "run" else {name: value}
    return flat
