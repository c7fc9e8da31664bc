"""Many generations in one call: one program, the same bits however they are cut and spread."""

import dataclasses

import jax
import numpy as np
import pytest
from tiny import CLASSES, SIZE, assert_equal, compiled, linear_scorer, run, tiny

import qd_fool
from qd_fool import map_elites as me
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.errors import UserError
from qd_fool.map_elites.segments import make_segment


@pytest.mark.parametrize(
    ("rule", "batch", "classes", "others"),
    [
        ("all", 20, 5, [4]),
        ("all", 6, 26, [2]),
        ("argmax", 7, 5, [4]),
        pytest.param("all", 7, 5, [2, 3, 4], marks=pytest.mark.long),
        pytest.param("argmax", 20, 5, [2, 4], marks=pytest.mark.long),
        pytest.param("argmax", 6, 26, [2, 4], marks=pytest.mark.long),
    ],
)
def test_same_bits_on_1_2_and_4_devices(rule, batch, classes, others):
    """More and fewer offspring than cells; batches that do not fill their chunks."""
    setup = tiny(linear_scorer(classes=classes), batch_size=batch, archive_rule=rule)
    one, log = run(*setup)
    assert log.replacements[-1] > 0
    for devices in others:
        other, other_log = run(*setup, devices=devices)
        assert_equal(one, other)
        assert_equal(log, other_log)


@pytest.mark.long
def test_same_bits_on_1_and_4_devices_with_lenet():
    """On 2 and 4, through the command: `commands/evolve/test_run.py`."""
    scorer = qd_fool.load_scorer("lenet")
    encoding = qd_fool.make_encoding("direct", scorer.image_shape)
    config = me.MapElitesConfig(batch_size=40, chunk=10)
    one, _ = run(scorer, encoding, config, cut=(3,))
    assert_equal(one, run(scorer, encoding, config, devices=4, cut=(3,))[0])


def test_segments_cut_differently_give_the_same():
    setup = tiny()
    whole, log = run(*setup, cut=(8, 4))
    pieces, piece_log = run(*setup, cut=(1, 3, 2, 6))
    assert_equal(whole, pieces)
    assert_equal(log, piece_log)
    longer, _ = run(*setup, cut=(12,), length=16)
    assert_equal(whole, longer)


def test_seeds_differ():
    a, b = (run(*tiny(), seed=seed)[0] for seed in (0, 1))
    assert not np.array_equal(a.archive.genomes, b.archive.genomes)


def test_a_run_traces_its_generation_once():
    """One compile a run, whatever the lengths of its segments."""
    scorer, encoding, config = tiny()
    traces = 0

    def render(genomes):
        nonlocal traces
        traces += 1
        return encoding.render(genomes)

    counted = dataclasses.replace(encoding, render=render)
    mesh = make_mesh(1)
    segment = make_segment(scorer, counted, config, mesh=mesh, length=8)
    state = replicate(me.init(encoding, CLASSES, seed=0), mesh)
    params = replicate(scorer.params, mesh)
    state, _ = segment(state, params, np.int32(1))
    after_first = traces
    for count in (8, 3, 1, 8):
        state, _ = segment(state, params, np.int32(count))
    assert traces == after_first
    assert segment._cache_size() == 1
    assert int(state.generation) == 21


def test_the_state_is_donated():
    scorer, encoding, config = tiny()
    mesh, segment = compiled(scorer, encoding, config, devices=1, length=8, log_offspring=False)
    state = replicate(me.init(encoding, CLASSES, seed=0), mesh)
    segment(state, replicate(scorer.params, mesh), np.int32(1))
    assert state.archive.genomes.is_deleted()


def test_more_devices_than_there_are():
    with pytest.raises(UserError, match="devices is 99: this process has 4"):
        make_mesh(99)


def test_pictures_too_small_are_refused_before_compiling():
    scorer, _, config = tiny()
    small = qd_fool.make_encoding("direct", (SIZE - 1, SIZE, 1))
    with pytest.raises(UserError, match="images are 5x6"):
        make_segment(scorer, small, config, mesh=make_mesh(1), length=2)


@pytest.mark.parametrize("name", ["direct", pytest.param("cppn", marks=pytest.mark.long)])
def test_a_users_jax_settings_do_not_matter(name):
    """With the settings of `emitters/test_contract.py`, whose program this is."""
    scorer, encoding, config = tiny(encoding=name, batch_size=8, chunk=2)
    short = {"devices": 2, "cut": (4,), "length": 4}
    plain, _ = run(scorer, encoding, config, **short)
    # A copy of the scorer has programs of its own.
    with jax.enable_x64(True):
        wide, _ = run(dataclasses.replace(scorer), encoding, config, **short)
    with jax.default_prng_impl("rbg"):
        other, _ = run(dataclasses.replace(scorer), encoding, config, **short)
    assert_equal(plain, wide)
    assert_equal(plain, other)
