"""Indices of classes from numbers, WNIDs or labels, and labels of the classes of a run."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from qd_fool.errors import UserError
from qd_fool.models import ZOO
from qd_fool.models.labels import imagenet_labels
from qd_fool.models.network import Network
from qd_fool.models.retrained import with_new_class

FEW = 4
"""Classes that a sentence lists."""


def find_class(
    text: str, names: Sequence[str], *, wnids: Sequence[str] = (), flag: str = "--class"
) -> int:
    """Return the index of the class that a text names, in upper or lower case.

    The text may be an index, a WNID, a whole label ("lion, king of beasts, Panthera leo"), one name
    of a label ("lion"), or a part of only one label ("king of b"). The first match in this order
    counts.

    Args:
      text: Text, as a user typed it.
      names: One label per class, with names separated by commas.
      wnids: One WordNet identifier per class; may be empty.
      flag: Flag of the text, for errors.

    Raises:
      UserError: No class matches, or several do.
    """
    # An index, or a WNID.
    word = text.strip().lower()
    if re.fullmatch(r"[+-]?\d+", word):
        if not 0 <= int(word) < len(names):
            raise UserError(f"{flag} is {int(word)}: expected 0 to {len(names) - 1}")
        return int(word)
    if word in wnids:
        return wnids.index(word)

    # A whole label, one name of a label, or a part of a label.
    lower = [name.lower() for name in names]
    parts = [[part.strip() for part in name.split(",")] for name in lower]
    for found in (
        [k for k, name in enumerate(lower) if word == name],
        [k for k, synonyms in enumerate(parts) if word in synonyms],
        [k for k, name in enumerate(lower) if word and word in name],
    ):
        if len(found) > 1:
            listed = _listed(found[:FEW], names, word)
            more = f" and {len(found) - FEW} more" if len(found) > FEW else ""
            raise UserError(
                f"{flag} {text!r} fits {len(found)} classes, {listed}{more}: "
                "expected the index of one"
            )
        if found:
            return found[0]

    # Nothing matches: the error lists names of similar spelling.
    known = {part: k for k, synonyms in enumerate(parts) for part in synonyms}
    close = difflib.get_close_matches(word, known, n=FEW, cutoff=0.6)
    like = list(dict.fromkeys(known[part] for part in close))
    expected = "an index, a WNID or a label" if wnids else "an index or a label"
    advice = f"the nearest are {_listed(like, names, close[0])}" if like else f"expected {expected}"
    raise UserError(f"{flag} {text!r} is none of the {len(names)} classes: {advice}")


def find_classes(
    text: str, names: Sequence[str], *, wnids: Sequence[str] = (), flag: str = "--classes"
) -> list[int]:
    """The indices of classes that a text names, in its order, each once.

    The parts of the text are separated by commas: a range of indices `from:to` or `from:to:step`,
    without `to` itself, or what `find_class` understands.

    Args:
      text: Text, as it was typed.
      names: Label per class; its names are separated by commas.
      wnids: WordNet identifier per class; may be empty.
      flag: Flag that the text came with, for messages.

    Raises:
      UserError: A text names no class or several, or a range is empty or beyond the classes.
    """
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(-?\d+):(-?\d+)(?::(-?\d+))?", part.strip())
        if match is None:
            found.append(find_class(part, names, wnids=wnids, flag=flag))
            continue
        first, to, step = int(match[1]), int(match[2]), int(match[3] or 1)
        if step < 1:
            raise UserError(f"{flag} has {part.strip()}: expected a step of 1 or more")
        indices = range(first, to, step)
        if not indices:
            raise UserError(f"{flag} has {part.strip()}: expected a range with something in it")
        if not 0 <= indices[0] <= indices[-1] < len(names):
            raise UserError(f"{flag} has {part.strip()}: expected 0 to {len(names) - 1}")
        found += indices
    return list(dict.fromkeys(found))


def _listed(classes: Sequence[int], names: Sequence[str], word: str) -> str:
    """List indices, each with the first name that contains the word, or the first name."""
    parts = {k: [part.strip() for part in names[k].split(",")] for k in classes}
    shown = {k: next((p for p in part if word in p.lower()), part[0]) for k, part in parts.items()}
    return ", ".join(f"{k} ({name})" for k, name in shown.items())


def read_classes(text: str, scorer: Network) -> Int[np.ndarray, " classes"]:
    """Return the indices of a network's classes that a text names, ascending.

    Args:
      text: Text, as `find_classes` understands it.
      scorer: The network.

    Raises:
      UserError: A text names no class or several, or a range is empty or beyond the classes.
    """
    found = find_classes(text, scorer.class_names, wnids=scorer.wnids)
    return np.asarray(sorted(found), np.int32)


def label_set(class_names: Sequence[str], wnids: Sequence[str]) -> str | list[str]:
    """Return the labels of a network's classes for `run.json`: the name of a set, or all names.

    Args:
      class_names: One name per class of the network.
      wnids: One WordNet identifier per class, or nothing.

    Returns:
      The set "imagenet" or "digits", also with the class of fooling images; else all names.
    """
    names = tuple(class_names)
    for name, (known, identifiers) in _label_sets().items():
        if (names, tuple(wnids)) in ((known, identifiers), with_new_class(known, identifiers)):
            return name
    return list(names)


def class_labels(
    run: Mapping[str, Any], labels: Mapping[int, str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return one name per class of a run, and WNIDs if the classes are ImageNet's.

    `run.json` states the names under "labels". Runs of older versions do not: for them, the names
    follow from the network, or from the labels in `elites.csv`.

    Args:
      run: Contents of `run.json`.
      labels: Names of the classes that have an elite, from `elites.csv`.

    Raises:
      UserError: "labels" in `run.json` is damaged, or does not fit the number of classes.
    """
    stated = run.get("labels")
    if stated is None:
        return _inferred_labels(run, labels)
    classes = int(run["classes"])
    if isinstance(stated, str) and stated in _label_sets():
        names, wnids = _labels_in(stated, classes=classes)
        if len(names) == classes:
            return names, wnids
    listed = isinstance(stated, list) and all(isinstance(name, str) for name in stated)
    if listed and len(stated) == classes:
        return tuple(stated), ()
    shown = stated if isinstance(stated, str) else f"a {type(stated).__name__}"
    raise UserError(
        f"run.json: labels is {shown}, expected {' or '.join(_label_sets())} or the names of all "
        f"{classes} classes"
    )


def _inferred_labels(
    run: Mapping[str, Any], labels: Mapping[int, str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and WNIDs of a run whose `run.json` does not say them."""
    classes, model = int(run["classes"]), run["config"].get("model")
    candidates = []
    if isinstance(model, str) and model in ZOO:
        candidates.append("imagenet" if ZOO[model].imagenet else "digits")
    # A network outside the zoo: the labels of the elites alone may be those of ImageNet.
    if labels:
        candidates.append("imagenet")
    for candidate in candidates:
        names, wnids = _labels_in(candidate, classes=classes)
        if classes == len(names) and labels.items() <= dict(enumerate(names)).items():
            return names, wnids
    return tuple(labels.get(k, f"class {k}") for k in range(classes)), ()


def _label_sets() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Names and WNIDs of the sets of classes that `run.json` calls by name."""
    wnids, names = imagenet_labels()
    return {"imagenet": (names, wnids), "digits": (tuple("0123456789"), ())}


def _labels_in(name: str, *, classes: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and WNIDs of a set; with the class of fooling images, if a run has one class more."""
    names, wnids = _label_sets()[name]
    return with_new_class(names, wnids) if classes == len(names) + 1 else (names, wnids)
