"""Photographs with their classes: folders, tables, arrays, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from qd_fool.commands.audit.photographs import check_arrays, digits_of, evenly, read_labelled
from qd_fool.errors import UserError


def test_a_folder_per_class(photo_folder, scorer):
    found = read_labelled(photo_folder, scorer, most=1000)
    assert found.images.shape == (90, 32, 32, 3)
    assert np.bincount(found.labels).tolist() == [30, 30, 30]
    assert found.images.mean(axis=(1, 2)).argmax(axis=1).tolist() == found.labels.tolist()
    assert found.words == f"90 photographs in {photo_folder.name}"


def test_fewer_photographs_are_evenly_spaced(photo_folder, scorer):
    found = read_labelled(photo_folder, scorer, most=9)
    assert np.bincount(found.labels).tolist() == [3, 3, 3]
    assert found.words.startswith("9 photographs of 90")
    assert evenly(5, 9).tolist() == [0, 1, 2, 3, 4]


def test_a_table_gives_the_same(photo_folder, scorer, tmp_path):
    paths = sorted(photo_folder.glob("*/*.png"))
    table = tmp_path / "photos.csv"
    lines = ["path,class", *(f"{path},{path.parent.name}" for path in paths)]
    table.write_text("\n".join(lines), encoding="utf-8")
    assert read_labelled(table, scorer, most=99).sha256 == (
        read_labelled(photo_folder, scorer, most=99).sha256
    )


def test_a_digest_is_that_of_pixels_and_labels(photo_folder, scorer):
    found = read_labelled(photo_folder, scorer, most=9)
    other = check_arrays(found.images, (found.labels + 1) % 3, scorer)
    assert found.sha256 == check_arrays(found.images, found.labels, scorer).sha256
    assert found.sha256 != other.sha256


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["path,class"], "found no rows"),
        (["file,label", "a.png,red"], "line 2 has no path or no class"),
        (["path,class", "a.png,mauve"], "line 2: class 'mauve' is none of the 3 classes"),
        (["path,class", "a.png,red"], "a.png"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, scorer, lines, words):
    table = tmp_path / "photos.csv"
    table.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserError, match=words):
        read_labelled(table, scorer, most=9)


def test_photographs_without_a_class_are_refused(tmp_path, scorer):
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="no class is known"):
        read_labelled(tmp_path, scorer, most=9)


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (np.zeros((2, 32, 32, 3)), [0, 1], "photos are float64"),
        (np.zeros((2, 32, 32, 1), np.uint8), [0, 1], "expected uint8"),
        (np.zeros((2, 32, 32, 3), np.uint8), [0], "labels have shape"),
        (np.zeros((2, 32, 32, 3), np.uint8), [0, 3], "labels go beyond 0..2"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(images, labels, words, scorer):
    with pytest.raises(UserError, match=words):
        check_arrays(images, labels, scorer)


def test_mnist_is_for_classifiers_of_digits(scorer, mnist_test):
    import qd_fool

    assert digits_of(scorer, most=10) is None
    found = digits_of(qd_fool.load_scorer("lenet"), most=100)
    assert found.images.shape == (100, 28, 28, 1)
    assert found.words == "100 of 10000 test digits of MNIST"


def test_gray_photographs(tmp_path):
    import qd_fool

    lenet = qd_fool.load_scorer("lenet")
    (tmp_path / "7").mkdir()
    Image.new("L", (28, 28), 9).save(tmp_path / "7" / "a.png")
    found = read_labelled(tmp_path, lenet, most=9)
    assert (found.images.shape, found.labels.tolist()) == ((1, 28, 28, 1), [7])
    Image.new("RGB", (28, 28)).save(tmp_path / "7" / "b.png")
    with pytest.raises(UserError, match=r"b\.png: found RGB"):
        read_labelled(tmp_path, lenet, most=9)
    assert len(read_labelled(tmp_path, lenet, most=9, convert=True).images) == 2
