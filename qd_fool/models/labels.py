"""The 1000 classes of ImageNet-1k, in the order of every network's outputs."""

import functools
from importlib import resources


@functools.cache
def imagenet_labels() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return WordNet identifiers (WNIDs) and names of the classes, sorted by identifier.

    The index of a class (0..999) is the rank of its identifier.

    A name holds all synonyms of a synset, such as "lion, king of beasts, Panthera leo". Two classes
    may have the same name ("crane", the bird and the machine): WNIDs are the key.

    Source: the ILSVRC 2012 synsets, sorted by WNID (caffe/docs/imagenet_training.md), with the
    lemmas of WordNet 3.0 (Princeton University), both as listed by timm 1.0.31 (Apache-2.0) in
    `timm/data/_info/imagenet_synsets.txt` and `imagenet_synset_to_lemma.txt`.

    Returns:
      1000 WNIDs, sorted, and the 1000 names.
    """
    file = resources.files("qd_fool.models") / "imagenet_classes.txt"
    rows = [line.split(" ", 1) for line in file.read_text(encoding="utf-8").splitlines()]
    return tuple(wnid for wnid, _ in rows), tuple(name for _, name in rows)
