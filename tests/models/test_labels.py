"""The packaged list of classes, against facts known from elsewhere and the sample's file names."""

import re
from importlib import resources

import pytest

from qd_fool.models.labels import imagenet_labels


def test_a_thousand_in_order():
    wnids, names = imagenet_labels()
    assert len(wnids) == len(names) == 1000
    assert list(wnids) == sorted(set(wnids))
    assert all(re.fullmatch(r"n\d{8}", wnid) for wnid in wnids)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z.,' -]*[a-z.A-Z]", name) for name in names)
    assert imagenet_labels() is imagenet_labels()


@pytest.mark.parametrize(
    ("index", "wnid", "name"),
    [
        (0, "n01440764", "tench, Tinca tinca"),
        (134, "n02012849", "crane"),
        (291, "n02129165", "lion, king of beasts, Panthera leo"),
        (517, "n03126707", "crane"),
        (639, "n03710721", "maillot, tank suit"),
        (999, "n15075141", "toilet tissue, toilet paper, bathroom tissue"),
    ],
)
def test_known_classes(index, wnid, name):
    wnids, names = imagenet_labels()
    assert (wnids[index], names[index]) == (wnid, name)


def test_the_file_is_as_it_is_read():
    text = (resources.files("qd_fool.models") / "imagenet_classes.txt").read_bytes().decode("utf-8")
    assert text == "".join(f"{w} {n}\n" for w, n in zip(*imagenet_labels(), strict=True))


def test_the_samples_file_names(photographs):
    assert list(imagenet_labels()[0]) == sorted(path.stem for path in photographs.glob("*.jpg"))
