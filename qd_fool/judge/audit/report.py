"""The result of an audit: frozen dataclasses, the contents of `audit.json`.

An audit holds no times and no paths of this machine: equal audits give equal files.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from qd_fool.errors import UserError
from qd_fool.judge.calibration import Bin
from qd_fool.judge.intervals import Value
from qd_fool.judge.separation import Separation

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SCHEMA_VERSION", "THRESHOLDS", "AuditReport"]

SCHEMA_VERSION = 1
"""Version of `audit.json`, which `audit.schema.json` describes."""

THRESHOLDS = (0.5, 0.9, 0.99)
"""Least confidences at which a class counts as fooled."""


@dataclasses.dataclass(frozen=True)
class NetworkFacts:
    """The classifier.

    Attributes:
      name: Name, as `--model` takes it.
      weights: Origin of the weights, for people.
      weights_sha256: SHA-256 of the weights file; may be empty.
      classes: Name of each class.
      unknown: Index of the class for unknown pictures; None if there is none. Pictures in this
        class do not count as fooling.
      gradient: Whether the classifier has a gradient.
      logits: Whether the classifier gives logits, and not probabilities only.
    """

    name: str
    weights: str
    weights_sha256: str
    classes: tuple[str, ...]
    unknown: int | None
    gradient: bool
    logits: bool


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of an audit.

    Attributes:
      budget: Counted evaluations of the searches, per seed.
      seeds: Number of seeds.
      shares: Counted evaluations of each method, per seed.
    """

    budget: int
    seeds: int
    shares: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Fooled:
    """How many classes, or pictures, a method fools at a threshold.

    Attributes:
      threshold: Least confidence.
      count: Number of classes or pictures, the mean over seeds.
      tried: Number of classes that were tried, or of pictures that were shown.
      share: `count / tried`, with an interval.
      median_evaluations: Evaluations until half of the classes are fooled, the median over seeds
        and classes; None if that does not happen within the budget, or nothing was searched.
      robustness: Mean part of the budget, 0 to 1, until a class is fooled; 1 for a class that is
        not. None if nothing was searched.
    """

    threshold: float
    count: float
    tried: int
    share: Value
    median_evaluations: float | None
    robustness: Value | None


@dataclasses.dataclass(frozen=True)
class Search:
    """One search with one seed.

    Attributes:
      seed: Seed.
      run: Name of the run directory, below that of the audit.
      evaluations: Counted evaluations that were spent.
      first: Evaluations after which each class is fooled, per threshold; None for never.
      confidence: Confidence in the best picture of each class.
      log_odds: Log-odds of this confidence, which do not stick at 1.
    """

    seed: int
    run: str
    evaluations: int
    first: tuple[tuple[int | None, ...], ...]
    confidence: tuple[float, ...]
    log_odds: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Picture:
    """A fooling picture.

    Attributes:
      path: Path of the PNG, relative to the directory of the audit.
      class_index: Class that the picture fools.
      confidence: Confidence in this class.
      method: Name of the method.
    """

    path: str
    class_index: int
    confidence: float
    method: str


@dataclasses.dataclass(frozen=True)
class Method:
    """What one way of fooling achieves.

    Attributes:
      name: "cppn", "direct", "gradient", "shown-NAME" for pictures that fooled another network, or
        "previous" for those of the baseline's audit.
      kind: "search" if the pictures were made for this classifier, else "shown".
      words: What the method does, for people.
      gradient: Whether the method uses the classifier's gradient.
      classes: Indices of the classes that were tried; empty if nothing was searched.
      searches: One search per seed; empty if nothing was searched.
      fooled: Counts per threshold.
      judged: Number of fooling pictures that the detectors saw, each at a confidence of 0.5 or
        more.
      detectors: Results of the detectors; empty if they were not measured.
      weakest: Indices of up to five classes that are fooled most easily, the easiest first.
      strongest: Indices of up to five classes that are fooled least easily, the hardest first.
    """

    name: str
    kind: str
    words: str
    gradient: bool
    classes: tuple[int, ...]
    searches: tuple[Search, ...]
    fooled: tuple[Fooled, ...]
    judged: int
    detectors: Mapping[str, Separation]
    weakest: tuple[int, ...]
    strongest: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Probe:
    """The classifier's confidence in pictures that show nothing and were not optimised.

    Attributes:
      name: "noise", "constant", "blobs" or "patches".
      words: What the pictures are, for people.
      pictures: Number of pictures.
      median: Median of the highest confidence.
      highest: Largest of the highest confidences.
      label: Name of the class of this largest confidence.
      shares: Share of the pictures with a highest confidence of each threshold or more.
    """

    name: str
    words: str
    pictures: int
    median: float
    highest: float
    label: str
    shares: tuple[Value, ...]


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Accuracy on the same photographs with another preprocessing.

    Attributes:
      name: What the classifier gets instead.
      photographs: Number of photographs.
      accuracy: Accuracy with this preprocessing.
      usual: Accuracy with the classifier's own.
      p: Probability of such an advantage by chance: McNemar's exact test, one-sided.
    """

    name: str
    photographs: int
    accuracy: float
    usual: float
    p: float


@dataclasses.dataclass(frozen=True)
class Photographs:
    """The classifier on photographs of its classes.

    Attributes:
      words: Origin of the photographs, for people.
      sha256: Digest of pixels and labels.
      count: Number of photographs.
      accuracy: Share that is classified correctly.
      confidence: Mean confidence in the top class.
      ece: Expected calibration error, in 15 bins.
      temperature: Temperature that was fitted to every second photograph.
      ece_scaled: Calibration error of the other photographs at this temperature.
      bins: Reliability: confidence and accuracy per bin.
      right: Whether each photograph is classified correctly: bits in hexadecimal digits.
    """

    words: str
    sha256: str
    count: int
    accuracy: Value
    confidence: Value
    ece: Value
    temperature: float
    ece_scaled: float
    bins: tuple[Bin, ...]
    right: str


@dataclasses.dataclass(frozen=True)
class AuditReport:
    """How confidently a classifier can be wrong.

    Attributes:
      schema_version: Version of the form of this report.
      network: The classifier.
      settings: Settings of the audit.
      photographs: The classifier on photographs; None if there are none.
      preprocessings: Other preprocessings, the best first.
      probes: The classifier on pictures that were not optimised.
      methods: Results of each way of fooling.
      worst: The most confident fooling pictures, up to twelve.
      warnings: Sentences about what looks wrong.
      not_measured: Sentences about what this audit does not say.
    """

    schema_version: int
    network: NetworkFacts
    settings: Settings
    photographs: Photographs | None
    preprocessings: tuple[Preprocessing, ...]
    probes: tuple[Probe, ...]
    methods: tuple[Method, ...]
    worst: tuple[Picture, ...]
    warnings: tuple[str, ...]
    not_measured: tuple[str, ...]

    def method(self, name: str) -> Method | None:
        """Return the method of a name, or None.

        Args:
          name: Name of the method.
        """
        return next((method for method in self.methods if method.name == name), None)

    def to_frame(self) -> "pd.DataFrame":
        """Return all metrics as a pandas data frame, one row per metric.

        Raises:
          UserError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise UserError('to_frame needs pandas: pip install "qd-fool[notebooks]"') from error
        from qd_fool.judge.audit.metrics import metrics_of

        rows = [dataclasses.asdict(metric) for metric in metrics_of(self).values()]
        return pd.DataFrame(rows).set_index("name")
