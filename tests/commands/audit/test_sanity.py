"""Probes, and warnings about wrong preprocessing."""

import numpy as np
import pytest
from colours import colour_photographs, colour_scorer

from qd_fool.commands.audit.photographs import check_arrays
from qd_fool.commands.audit.sanity import (
    PICTURES,
    alternatives,
    compare_preprocessings,
    probe,
    probe_pictures,
    warning_of,
)
from qd_fool.scoring.logits import logits_function


def compared(scorer):
    photographs = check_arrays(*colour_photographs(), scorer)
    answers = logits_function(scorer, chunk=scorer.chunk)(photographs.images)
    right = answers.argmax(axis=1) == photographs.labels
    return right.mean(), compare_preprocessings(scorer, photographs, right)


def test_correct_preprocessing_gives_no_warning():
    accuracy, found = compared(colour_scorer())
    assert accuracy == 1
    assert len(found) == len(alternatives(3)) == 10
    assert warning_of(found) is None
    assert next(each for each in found if each.name == "RGB, pixels / 255").accuracy == 1


def test_a_wrong_order_of_channels_is_named():
    # The photographs are RGB, and this classifier reads its pictures as BGR.
    accuracy, found = compared(colour_scorer(order=(2, 1, 0)))
    assert accuracy == pytest.approx(1 / 3, abs=0.01)
    assert found[0].accuracy == 1
    assert "RGB, " in warning_of(found)
    assert "33.3%" in warning_of(found)


def test_probes_are_the_same_each_time_and_named():
    photographs = check_arrays(*colour_photographs(), colour_scorer())
    first = list(probe_pictures((32, 32, 3), photographs))
    again = list(probe_pictures((32, 32, 3), photographs))
    assert [name for name, _, _ in first] == ["noise", "constant", "blobs", "patches"]
    for (_, _, a), (_, _, b) in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == np.uint8
        assert a.shape[1:] == (32, 32, 3)
    by_name = {name: images for name, _, images in first}
    assert len(by_name["noise"]) == PICTURES
    assert (np.ptp(by_name["constant"], axis=(1, 2)) == 0).all()
    # Patches are moved, not changed.
    originals = photographs.images
    np.testing.assert_array_equal(
        np.sort(by_name["patches"].reshape(90, -1)), np.sort(originals.reshape(90, -1))
    )
    assert [name for name, _, _ in probe_pictures((8, 8, 1), None)] == [
        "noise",
        "constant",
        "blobs",
    ]


def test_a_probe_counts_confident_answers():
    logits = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 2.5]], np.float32)
    found = probe("noise", "noise", logits, ("a, first", "b"))
    assert [share.value for share in found.shares] == pytest.approx([1, 2 / 3, 1 / 3])
    assert found.label == "a, first"
    assert found.highest == pytest.approx(1 / (1 + np.exp(-5)))
