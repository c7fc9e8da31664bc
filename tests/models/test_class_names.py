"""Classes by index, WNID and label."""

import dataclasses

import pytest

from qd_fool.errors import UserError
from qd_fool.models import load_scorer
from qd_fool.models.class_names import find_class, find_classes, read_classes
from qd_fool.models.labels import imagenet_labels

WNIDS, NAMES = imagenet_labels()


def find(text):
    return find_class(text, NAMES, wnids=WNIDS)


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("291", 291),
        ("+7", 7),
        ("n02129165", 291),
        ("N02129165", 291),
        ("lion", 291),  # also in sea lion, mountain lion, dandelion
        (" LION ", 291),
        ("lion, king of beasts, Panthera leo", 291),
        ("king of b", 291),
        ("panthera leo", 291),
        ("maillot", 638),  # a whole label, before the first name of 639
        ("tank suit", 639),
    ],
)
def test_what_fits_one_class(text, index):
    assert find(text) == index


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("1000", "--class is 1000: expected 0 to 999"),
        ("-1", "--class is -1: expected 0 to 999"),
        ("crane", "'crane' fits 2 classes, 134 (crane), 517 (crane): expected the index of one"),
        ("terrier", "fits 24 classes, 153 (Maltese terrier), 158 (toy terrier), 179 (Staff"),
        ("terrier", "and 20 more: expected"),
        ("strianer", "none of the 1000 classes: the nearest are 828 (strainer)"),
        ("qqqqqqq", "none of the 1000 classes: expected an index, a WNID or a label"),
        ("", "none of the 1000 classes"),
    ],
)
def test_what_fits_none_or_several_is_told_in_one_sentence(text, output):
    with pytest.raises(UserError) as error:
        find(text)
    assert output in str(error.value)
    assert "\n" not in str(error.value)


def test_every_wnid_and_every_unique_name_finds_its_class():
    assert [find(wnid) for wnid in WNIDS] == list(range(1000))
    parts = [part.strip().lower() for name in NAMES for part in name.split(",")]
    whole = [name.lower() for name in NAMES]
    for index, name in enumerate(NAMES[::37]):
        for part in name.split(","):
            word = part.strip().lower()
            if parts.count(word) == 1 and (word not in whole or whole.index(word) == index * 37):
                assert find(word) == index * 37


def test_digits_are_indices_and_labels():
    digits = tuple("0123456789")
    assert find_class("3", digits) == 3
    with pytest.raises(UserError, match="expected an index or a label"):
        find_class("zebra", digits)


def test_several_in_their_order_each_once():
    text = "strainer, lion,n02129165,king of beasts, 7"
    assert find_classes(text, NAMES, wnids=WNIDS) == [828, 291, 7]
    with pytest.raises(UserError, match="--classes 'lyon' is none"):
        find_classes("lion,lyon", NAMES, wnids=WNIDS)


def test_classes_by_index_range_and_label():
    scorer = dataclasses.replace(load_scorer("lenet"), class_names=("cat, puss", "dog", "cat"))
    assert read_classes("2, dog", scorer).tolist() == [1, 2]
    assert read_classes("puss,0:3:2", scorer).tolist() == [0, 2]
    assert read_classes("PUSS", scorer).tolist() == [0]
    assert read_classes("CAT", scorer).tolist() == [2]  # a whole label comes first
