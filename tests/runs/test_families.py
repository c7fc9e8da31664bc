"""Chains and goal switches against a walk in plain Python."""

from itertools import pairwise

import numpy as np
import pytest
from synthetic_run import history

from qd_fool.runs.families import (
    NO_PARENT,
    OUTSIDE,
    chain,
    depth_and_switches,
    family_of,
    is_switch,
    rows_of,
    subset,
    switch_share,
    with_ancestors,
)


@pytest.fixture(scope="module")
def events():
    return history(30, generations=40, seed=3)[0]


def walk(events, child):
    """`[(id, class in which its own parent sat, that parent's confidence there)]`, newest first."""
    names = ("id", "class_index", "parent_id", "parent_class", "confidence")
    rows = list(zip(*(events[name].tolist() for name in names), strict=True))
    parents = {row[0]: (row[2], row[3]) for row in rows}
    won = {(row[0], row[1]): row[4] for row in rows}
    found = []
    while child in parents:
        parent, cell = parents[child]
        found.append((child, cell, won.get((parent, cell))))
        child = parent
    return found


def test_every_chain_is_that_of_a_plain_walk(events):
    family = family_of(events)
    depth, switches = depth_and_switches(family)
    assert depth.max() > 5
    for row, child in enumerate(family.id):
        expected = walk(events, int(child))
        rows = chain(family, row)
        assert family.id[rows].tolist() == [step[0] for step in expected]
        assert family.parent_class[rows].tolist() == [step[1] for step in expected]
        confidences = [None if np.isnan(p) else p for p in family.parent_confidence[rows]]
        assert confidences == [step[2] for step in expected]
        cells = [step[1] for step in expected if step[1] >= 0]
        assert depth[row] == len(cells)
        assert switches[row] == sum(a != b for a, b in pairwise(cells))


def test_parents_come_before_their_offspring(events):
    family = family_of(events)
    bred = family.parent >= 0
    assert (family.parent[bred] < np.flatnonzero(bred)).all()
    assert (family.generation[family.parent[bred]] < family.generation[bred]).all()


def test_only_ancestors_are_kept_and_chains_stay_the_same(events):
    family = family_of(events)
    rows = np.array([len(family.id) - 1, 3, -1])
    kept = with_ancestors(family, rows)
    walked = {step[0] for row in rows[:2] for step in walk(events, int(family.id[row]))}
    assert set(family.id[kept].tolist()) == walked
    smaller = subset(family, kept)
    new = rows_of(smaller, family.id[rows[:2]])
    for old, row in zip(rows[:2].tolist(), new.tolist(), strict=True):
        assert smaller.id[chain(smaller, row)].tolist() == family.id[chain(family, old)].tolist()


def test_parents_of_another_run_and_none_at_all():
    events = {
        "generation": np.array([0, 1, 1]),
        "class_index": np.array([0, 1, 2]),
        "id": np.array([3, 25, 25]),
        "parent_id": np.array([-1, -4, -4]),
        "parent_class": np.array([-1, 2, 2]),
        "confidence": np.array([0.1, 0.2, 0.3]),
    }
    family = family_of(events)
    assert family.parent.tolist() == [NO_PARENT, OUTSIDE]
    assert np.isnan(family.parent_confidence).all()
    assert depth_and_switches(family)[0].tolist() == [0, 1]
    assert rows_of(family, np.array([25, 4])).tolist() == [1, -1]
    assert is_switch(events["parent_class"], events["class_index"]).tolist() == [False, True, False]
    assert switch_share(events["parent_class"], events["class_index"]) == 0.5
    assert switch_share(np.array([-1]), np.array([0])) is None


def test_an_empty_log():
    empty = {name: np.empty(0, np.int32) for name in ("generation", "class_index", "id")}
    empty |= {name: np.empty(0, np.int32) for name in ("parent_id", "parent_class", "confidence")}
    family = family_of(empty)
    assert family.id.size == 0
    assert rows_of(family, np.array([1])).tolist() == [-1]
    assert not with_ancestors(family, np.array([-1])).any()
