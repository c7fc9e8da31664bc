"""The log of genomes against a replay, generation by generation, and a walk in plain Python."""

import dataclasses

import jax
import numpy as np
import pytest
from tiny import assert_equal, linear_scorer, run, tiny

import qd_fool
from qd_fool import map_elites as me
from qd_fool.encodings.base import genome_bytes
from qd_fool.errors import UserError
from qd_fool.runs.genomes import (
    GenomeLog,
    empty_log,
    extend,
    from_arrays,
    prune,
    read_genome_log,
    rows_of_ids,
    to_arrays,
    what_to_keep,
    winners_of,
    write_genome_log,
)

CUT = (1, 5, 8)


@pytest.fixture(scope="module")
def setting():
    # Many cells, so that lines die out; a batch not of whole chunks, filled up.
    return tiny(linear_scorer(classes=20), batch_size=18)


@pytest.fixture(scope="module")
def replay(setting):
    """`{id: (parent id, genome)}` of all that ever won a cell, and the last state."""
    scorer, encoding, config = setting
    state, found = me.init(encoding, len(scorer.class_names), seed=0), {}

    @jax.jit
    def one(state):
        return me.step(state, scorer.params, scorer=scorer, encoding=encoding, config=config)

    for _ in range(sum(CUT)):
        state, log = one(state)
        assert log.offspring is None
        for cell in np.flatnonzero(np.asarray(log.inserted)):
            genome = np.asarray(state.archive.genomes)[cell]
            found[int(log.id[cell])] = (int(log.parent_id[cell]), genome)
    return found, jax.device_get(state)


@pytest.fixture(scope="module")
def segments(setting):
    """The last state of a run on four devices, and the logs of its segments."""
    state, rows = run(*setting, devices=4, cut=CUT, log_offspring=True)
    ends = np.cumsum(CUT)
    parts = [
        jax.tree.map(lambda a, i=end - count, n=end: a[i:n], rows)
        for count, end in zip(CUT, ends, strict=True)
    ]
    return state, parts


def test_logging_changes_no_bit_of_a_run(replay, segments):
    assert_equal(replay[1], segments[0])


def test_all_that_won_a_cell_are_those_of_a_replay(setting, replay, segments):
    found, log = replay[0], empty_log(setting[1])
    for part in segments[1]:
        log = extend(log, winners_of(part, count=len(part.generation)))
    assert log.id.tolist() == sorted(found)
    assert log.parent_id.tolist() == [found[k][0] for k in sorted(found)]
    np.testing.assert_array_equal(log.genomes, [found[k][1] for k in sorted(found)])


def test_pruned_at_any_time_it_holds_the_living_and_their_ancestors(setting, replay, segments):
    found, last = replay
    log, living, wanted = empty_log(setting[1]), last.archive.id.tolist(), set()
    for child in living:
        while child >= 0:
            wanted.add(child)
            child = found[child][0]
    assert len(set(living)) < len(wanted) < len(found)
    for part in segments[1]:
        log = extend(log, winners_of(part, count=len(part.generation)))
        log = prune(log, part.id[-1])
    assert log.id.tolist() == sorted(wanted)
    np.testing.assert_array_equal(log.genomes, [found[k][1] for k in sorted(wanted)])
    rows = rows_of_ids(log, np.asarray(last.archive.id))
    np.testing.assert_array_equal(log.genomes[rows], last.archive.genomes)
    assert rows_of_ids(log, np.array([-1, 10**6])).tolist() == [-1, -1]


def graphs(n):
    encoding = qd_fool.make_encoding("cppn", (8, 8, 1))
    return encoding, jax.device_get(encoding.init(jax.random.split(jax.random.key(1), n)))


def test_written_and_read_back(tmp_path):
    encoding, genomes = graphs(3)
    log = GenomeLog(np.array([2, 5, 7]), np.array([-1, 2, -3]), genomes)
    assert read_genome_log(tmp_path, encoding) is None
    write_genome_log(tmp_path, log)
    again = read_genome_log(tmp_path, encoding)
    assert_equal((log.id, log.parent_id, log.genomes), (again.id, again.parent_id, again.genomes))
    with pytest.raises(UserError, match=r"genomes is nothing, expected uint8\(3, 64\)"):
        read_genome_log(tmp_path, qd_fool.make_encoding("direct", (8, 8, 1)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": None}, "expected an array 'id'"),
        ({"id": np.array([2, 2, 7])}, "expected id to be ascending"),
        ({"id": np.array([1.0, 2, 7])}, "expected id to be ascending whole numbers"),
        ({"parent_id": np.array([1])}, "expected as many whole numbers in parent_id"),
        (
            {"genomes.weight": np.zeros((3, 2), "f4")},
            r"genomes.weight is float32\(3, 2\), expected",
        ),
    ],
)
def test_what_is_no_log_is_refused(change, message):
    encoding, genomes = graphs(3)
    ids = np.array([2, 5, 7])
    arrays = to_arrays(GenomeLog(ids, ids - 3, genomes)) | change
    arrays = {name: array for name, array in arrays.items() if array is not None}
    with pytest.raises(UserError, match=message):
        from_arrays(arrays, encoding, source="x.npz")


def test_auto_keeps_the_ancestors_of_small_genomes():
    small, _ = graphs(1)
    large = qd_fool.make_encoding("direct", (256, 256, 3))
    assert genome_bytes(large) == 256 * 256 * 3
    assert [what_to_keep("auto", e) for e in (small, large)] == ["ancestors", "none"]
    assert [what_to_keep(k, large) for k in ("none", "ancestors", "all")] == [
        "none",
        "ancestors",
        "all",
    ]


def test_a_segment_without_offspring_in_its_log_is_a_mistake_of_the_caller(segments):
    part = dataclasses.replace(segments[1][0], offspring=None)
    with pytest.raises(ValueError, match="logs no offspring"):
        winners_of(part, count=1)
