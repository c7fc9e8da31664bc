"""Photographs to train on, and others to test with: from a folder, or from TFDS."""

import dataclasses
import importlib.util
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from qd_fool.data.photographs import (
    centre_cut,
    class_of,
    list_photographs,
    read_photographs,
)
from qd_fool.errors import UserError

EXTRA = ("tensorflow_datasets", "array_record")


@dataclasses.dataclass(frozen=True, eq=False)
class PhotographSet:
    """Photographs in two parts.

    Attributes:
      train: Photographs to train on.
      held_out: Photographs to test with.
      held_out_labels: Class index of each held-out photograph.
      words: Description of the set, for people.
    """

    train: UInt8[np.ndarray, "train side side 3"]
    held_out: UInt8[np.ndarray, "held_out side side 3"]
    held_out_labels: Int[np.ndarray, " held_out"]
    words: str


def load_photograph_set(
    source: str, *, side: int, wnids: Sequence[str], data_dir: Path | None, most: int
) -> PhotographSet:
    """Read the photographs of a folder, or of a data set that TFDS has prepared.

    Every second photograph, sorted by path, is held out. If a data set has the splits "train" and
    "validation", the validation split is held out instead.

    Args:
      source: Folder, as for `list_photographs`; or, where there is no such folder, the name of a
        data set such as "imagenet_v2".
      side: Side of the pictures in pixels.
      wnids: WordNet identifiers in the order of the classes.
      data_dir: Data folder of TFDS; by default TFDS_DATA_DIR, or ~/tensorflow_datasets.
      most: Most photographs to read. If there are more, this many are taken, evenly spaced.

    Raises:
      UserError: The source is neither a folder of photographs whose names state their class nor a
        data set that is prepared; or a photograph can't be read.
    """
    folder = Path(source)
    if folder.is_dir():
        return _from_folder(folder, side=side, wnids=wnids, most=most)
    if os.sep in source or source.startswith((".", "~")):
        raise UserError(f"--photos {source}: no such folder")
    return _from_tfds(source, side=side, wnids=wnids, data_dir=data_dir, most=most)


def _from_folder(folder: Path, *, side: int, wnids: Sequence[str], most: int) -> PhotographSet:
    found = list_photographs(folder)
    paths = [found[i] for i in _spaced(len(found), most)]
    if len(paths) < 2:
        raise UserError(f"--photos {folder}: found one photograph, expected two or more")
    labels = np.asarray([class_of(path, wnids) for path in paths])
    train, held_out = (
        np.concatenate(list(read_photographs(part, side=side, convert=True)))
        for part in (paths[::2], paths[1::2])
    )
    words = (
        f"{len(paths)} of {len(found)} photographs in {folder}: every second one to learn from, "
        "the others held out"
    )
    return PhotographSet(train, held_out, labels[1::2], words)


def _spaced(count: int, most: int) -> list[int]:
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()


def _from_tfds(
    name: str, *, side: int, wnids: Sequence[str], data_dir: Path | None, most: int
) -> PhotographSet:
    if missing := [package for package in EXTRA if importlib.util.find_spec(package) is None]:
        raise UserError(
            f"--photos {name}: there is no such folder, and reading a data set of that name needs "
            f"the extra 'data' (not installed: {', '.join(missing)}): pip install \"qd-fool[data]\""
        )
    import tensorflow_datasets as tfds  # takes most of a second

    root = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    try:
        # TFDS reads the description that lies beside a prepared data set. The data set's own code,
        # which may need TensorFlow, does not run.
        builder = tfds.builder(name, data_dir=root, try_gcs=False)
        splits = {split for split, info in builder.info.splits.items() if info.num_examples}
        classes = builder.info.features["label"]
    except (OSError, RuntimeError, ValueError, LookupError, AssertionError, ImportError) as error:
        raise _not_prepared(name, root, error) from error
    both = {"train", "validation"} <= splits
    chosen = ["train", "validation"] if both else sorted(splits & {"test", "validation", "train"})
    if not chosen:
        raise _not_prepared(name, root, None)
    parts = [
        _read_split(builder, split, root, side=side, most=most // 2 if both else most)
        for split in (chosen if both else chosen[:1])
    ]
    if both:
        train, (held_out, numbers) = parts[0][0], parts[1]
        words = f"{len(train)} of its train split to learn from, {len(held_out)} of its validation"
    else:
        (images, numbers), split = parts[0], chosen[0]
        if len(images) < 2:
            raise UserError(f"--photos {name}: found one photograph, expected two or more")
        train, held_out, numbers = images[::2], images[1::2], numbers[1::2]
        words = f"{len(images)} of its {split} split: every second one to learn from, the others"
    # Classes are matched by WNID, because a data set may number its classes in another order.
    names = [classes.int2str(int(number)) for number in numbers]
    if unknown := sorted(set(names) - set(wnids)):
        raise UserError(
            f"--photos {name}: found labels such as {unknown[0]!r}, expected WNIDs such as "
            f"{wnids[0]}"
        )
    index = {wnid: k for k, wnid in enumerate(wnids)}
    labels = np.asarray([index[wnid] for wnid in names])
    return PhotographSet(train, held_out, labels, f"{name} in {root}, {words} held out")


def _not_prepared(name: str, root: Path, error: Exception | None) -> UserError:
    why = f" ({type(error).__name__})" if error else ""
    return UserError(
        f"--photos {name}: neither a folder nor a data set that tensorflow-datasets has prepared "
        f"in {root} as array_record{why}; expected photographs with labels"
    )


def _read_split(
    builder: Any, split: str, root: Path, *, side: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures `(n, side, side, 3)` of a split, evenly spaced, and their class numbers."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.proto import tf_example_pb2

    images, numbers = [], []
    try:
        source = builder.as_data_source(
            split=split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
        )
        for record in source.__getitems__(_spaced(len(source), most)):
            feature = tf_example_pb2.Example.FromString(record).features.feature
            with Image.open(io.BytesIO(feature["image"].bytes_list.value[0])) as image:
                images.append(np.asarray(centre_cut(image.convert("RGB"), side)))
            numbers.append(feature["label"].int64_list.value[0])
    except (
        OSError, RuntimeError, ValueError, LookupError, AssertionError, NotImplementedError,
    ) as error:  # fmt: skip
        raise _not_prepared(builder.name, root, error) from error
    return np.stack(images), np.asarray(numbers)
