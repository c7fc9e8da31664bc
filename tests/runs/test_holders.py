"""Who held which cell when, against a replay of the log in plain Python."""

from itertools import pairwise

import numpy as np
import pytest
from synthetic_run import history

from qd_fool.runs.holders import (
    ancestors_of,
    evenly,
    frame_generations,
    holders_at,
    holders_of,
    take,
)

CLASSES = 30


@pytest.fixture(scope="module")
def events():
    log = history(CLASSES, generations=40, seed=3)[0]
    # Rows of one generation stand in any order; so may generations.
    order = np.random.default_rng(0).permutation(len(log["id"]))
    return {name: column[order] for name, column in log.items()}


def replay(events):
    """`{generation: [row that holds each cell at its end, or -1]}`."""
    held, states = [-1] * CLASSES, {}
    for generation in range(int(events["generation"].max()) + 1):
        for row, when in enumerate(events["generation"]):
            if when == generation:
                held[int(events["class_index"][row])] = row
        states[generation] = list(held)
    return states


def test_the_cells_at_each_generation(events):
    states = replay(events)
    generations = np.array(sorted(states))
    found = holders_at(events, generations, classes=CLASSES)
    assert found.tolist() == [states[g] for g in generations.tolist()]
    generations = np.array([40, 3])
    assert holders_at(events, generations, classes=CLASSES).tolist() == [states[40], states[3]]


def test_cells_are_empty_before_their_first_holder(events):
    late = {name: column[events["generation"] > 0] for name, column in events.items()}
    found = holders_at(late, np.array([0, 1]), classes=CLASSES + 1)
    assert (found[0] == -1).all()
    assert (found[:, CLASSES] == -1).all()
    assert set(late["class_index"][found[1][found[1] >= 0]]) == set(
        late["class_index"][late["generation"] == 1]
    )
    nothing = {name: column[:0] for name, column in events.items()}
    assert (holders_at(nothing, np.array([5]), classes=2) == -1).all()


def test_the_holders_of_a_cell(events):
    states = replay(events)
    for cell in (0, 17):
        expected = []
        for held in states.values():
            if held[cell] not in expected:
                expected.append(held[cell])
        line = holders_of(events, cell)
        assert line.id.tolist() == events["id"][expected].tolist()
        assert line.born.tolist() == events["generation"][expected].tolist()
        assert line.confidence.tolist() == events["confidence"][expected].tolist()
        assert set(line.cell.tolist()) == {cell}
    assert len(holders_of(events, CLASSES).id) == 0


def test_the_line_that_led_to_a_holder(events):
    rows = list(range(len(events["id"])))
    for cell in (0, 17):
        row = replay(events)[40][cell]
        shown = [(events["id"][row], cell, events["confidence"][row])]
        while events["parent_class"][row] >= 0:
            parent, found_in = events["parent_id"][row], events["parent_class"][row]
            row = next(
                r
                for r in rows
                if events["id"][r] == parent and events["class_index"][r] == found_in
            )
            shown.append((parent, found_in, events["confidence"][row]))
        line = ancestors_of(events, cell)
        output = list(zip(line.id, line.cell, line.confidence, strict=True))
        assert output == shown[::-1]
        assert (np.diff(line.born) > 0).all()
    assert len(ancestors_of(events, CLASSES).id) == 0


def test_evenly_spread_with_both_ends():
    assert evenly(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert evenly(101, 5).tolist() == [0, 25, 50, 75, 100]
    assert evenly(7, 1).tolist() == [6]
    assert evenly(0, 3).tolist() == []


def test_rows_of_a_line(events):
    line = holders_of(events, 2)
    assert take(line, np.array([1, 0])).id.tolist() == line.id[[1, 0]].tolist()


@pytest.mark.parametrize("frames", [2, 7, 25, 400])
def test_frames_share_what_is_new(frames):
    # Ever fewer changes, as in a search: 1000 at first, then 200 / generation.
    news = [1000, *(200 // g for g in range(1, 201))]
    generation = np.repeat(np.arange(201), news)
    shown = frame_generations(generation, frames=frames)
    assert shown[0] == 0
    assert shown[-1] == 200
    assert len(shown) <= frames
    assert (np.diff(shown) > 0).all()
    shares = [sum(news[a + 1 : b + 1]) for a, b in pairwise(shown.tolist())]
    if frames < 201:
        # Each has its share, but for what one generation brings.
        assert max(shares) <= sum(news[1:]) / (frames - 1) + 200
        if frames == 7:
            assert shown[1] - shown[0] < shown[-1] - shown[-2]
    else:
        assert shown.tolist() == list(range(201))


def test_one_frame_is_the_last():
    assert frame_generations(np.array([0, 0, 3, 9]), frames=1).tolist() == [9]
