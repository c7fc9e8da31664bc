"""The classifier that is audited, and what its audit is asked to do."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from qd_fool.commands.audit.photographs import Labelled
from qd_fool.errors import UserError
from qd_fool.judge.audit.report import NetworkFacts
from qd_fool.models.class_names import find_class
from qd_fool.models.network import SingleNetwork, default_chunk, has_gradient
from qd_fool.models.retrained import NEW_CLASS
from qd_fool.scoring.logits import LogitsFunction, logits_function

UNKNOWN_NAMES = (NEW_CLASS, "unknown", "none of the above", "none", "other", "background")
"""Names of classes for unknown pictures, in lower case."""

SHARES = {
    True: {"cppn": 0.5, "direct": 0.25, "gradient": 0.25},
    False: {"cppn": 0.6, "direct": 0.4},
}
"""Shares of the budget: for a classifier with a gradient, and for one without."""


@dataclasses.dataclass(frozen=True, eq=False)
class AuditSubject:
    """The classifier that is audited.

    Attributes:
      scorer: The classifier.
      named: Fields of `EvolveConfig` and `AscendConfig` that name the classifier.
      logits: Function that gives the logits of pictures.
      unknown: Index of the class for unknown pictures, or None.
      photographs: Photographs of the classes; a sentence that says why there are none.
    """

    scorer: SingleNetwork
    named: Mapping[str, Any]
    logits: LogitsFunction
    unknown: int | None
    photographs: Labelled | str

    @property
    def gradient(self) -> bool:
        """Whether the classifier has a gradient."""
        return has_gradient(self.scorer)

    @property
    def targets(self) -> tuple[int, ...]:
        """Indices of the classes that count as fooled: all but that for unknown pictures."""
        return tuple(k for k in range(len(self.scorer.class_names)) if k != self.unknown)

    def facts(self, *, logits: bool) -> NetworkFacts:
        """The facts of the classifier for the report.

        Args:
          logits: Whether the classifier gives logits, and not probabilities only.
        """
        return NetworkFacts(
            name=self.scorer.name,
            weights=self.scorer.weights,
            weights_sha256=self.scorer.weights_sha256,
            classes=self.scorer.class_names,
            unknown=self.unknown,
            gradient=self.gradient,
            logits=logits,
        )


def make_subject(
    scorer: SingleNetwork,
    named: Mapping[str, Any],
    *,
    unknown: str | None,
    photographs: Labelled | str,
) -> AuditSubject:
    """Make the subject of an audit.

    Args:
      scorer: The classifier.
      named: Fields of configurations that name the classifier.
      unknown: Class for unknown pictures: an index or a label, "none", or None to look for one.
      photographs: Photographs of the classes; a sentence that says why there are none.

    Raises:
      UserError: There is no such class.
    """
    return AuditSubject(
        scorer=scorer,
        named=named,
        logits=logits_function(scorer, chunk=default_chunk(scorer)),
        unknown=_unknown_class(unknown, scorer),
        photographs=photographs,
    )


def _unknown_class(text: str | None, scorer: SingleNetwork) -> int | None:
    if text is not None:
        if text.lower() == "none":
            return None
        return find_class(text, scorer.class_names, wnids=scorer.wnids, flag="--unknown")
    names = [name.strip().lower() for name in scorer.class_names]
    found = [names.index(name) for name in UNKNOWN_NAMES if name in names]
    if found and len(names) < 3:
        raise UserError(
            f"{scorer.name} has the classes {', '.join(scorer.class_names)}: is one of them for "
            "unknown pictures? Expected --unknown CLASS, or --unknown none"
        )
    return found[0] if found else None
