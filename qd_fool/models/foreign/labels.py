"""How the classes of a network are called: by a file of labels, the model itself, or ImageNet."""

import ast
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from qd_fool.errors import UserError
from qd_fool.models.labels import imagenet_labels

KEYS = ("labels", "classes", "class_names", "names", "character", "label_names", "id2label")
"""Where exporters keep labels among a file's texts."""

LONGEST = 4 * 2**20
"""Characters of a list of labels."""


def class_names(
    labels: str | Path | Sequence[str] | None,
    *,
    count: int,
    metadata: Mapping[str, str],
    binary: bool,
    source: str,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A name per class, and ImageNet's identifiers where it is ImageNet.

    Args:
      labels: A file with one label per line, the labels themselves, or None.
      count: Number of classes.
      metadata: The file's texts.
      binary: Whether one number stands for two classes; one label is then the second's.
      source: Name of the file, for errors.

    Raises:
      UserError: Labels that cannot be read, or more or fewer than classes.
    """
    if labels is not None:
        return _given(labels, count=count, binary=binary, source=source), ()
    for key in KEYS:
        found = _listed(metadata.get(key, ""))
        if len(found) == count:
            return found, ()
    wnids, names = imagenet_labels()
    if count == len(names):
        return names, wnids
    if count == len(names) + 1:  # TensorFlow's networks have a class before all others
        return ("background", *names), ()
    return tuple(f"class {k}" for k in range(count)), ()


def _given(
    labels: str | Path | Sequence[str], *, count: int, binary: bool, source: str
) -> tuple[str, ...]:
    if isinstance(labels, (str, Path)):
        names = _read(Path(labels))
        flag = f"--labels {labels}"
    else:
        names, flag = tuple(labels), "labels"
    if binary and len(names) == 1:
        names = (f"not {names[0]}", names[0])
    if len(names) != count:
        raise UserError(f"{flag}: {len(names)} labels: the network of {source} has {count} classes")
    return names


def _read(path: Path) -> tuple[str, ...]:
    try:
        if path.stat().st_size > LONGEST:
            raise UserError(f"--labels {path}: too large for a list of labels")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--labels {path}: cannot be read ({error})") from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _listed(text: str) -> tuple[str, ...]:
    """Labels in a text: JSON, Python's notation, lines, or parted by commas; else none."""
    text = text.strip()
    if not text or len(text) > LONGEST:
        return ()
    if text[0] in "[{":
        return _structured(text)
    parts = text.splitlines() if "\n" in text else text.split(",")
    return tuple(part.strip() for part in parts if part.strip())


def _structured(text: str) -> tuple[str, ...]:
    found = None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
            break
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue  # not in this notation
    if isinstance(found, dict):
        keys = {str(key): value for key, value in found.items()}
        if not all(str(k) in keys for k in range(len(keys))):
            return ()
        found = [keys[str(k)] for k in range(len(keys))]
    return tuple(str(name) for name in found) if isinstance(found, (list, tuple)) else ()
