"""The loop: one program, the same bits for any number of devices, honest counting."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import CLASSES, SIZE, assert_equal, linear_scorer, run, tiny

import qd_fool
from qd_fool import map_elites as me
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.errors import UserError
from qd_fool.map_elites.segments import make_segment, raise_if_bad


@pytest.mark.parametrize("rule", ["all", "argmax"])
@pytest.mark.parametrize(("batch", "classes"), [(20, 5), (6, 26), (7, 5)])
def test_same_bits_on_1_2_and_4_devices(rule, batch, classes):
    """More and fewer offspring than cells; batches that do not fill their chunks."""
    setup = tiny(linear_scorer(classes=classes), batch_size=batch, archive_rule=rule)
    one, log = run(*setup)
    assert log.replacements[-1] > 0
    for devices in (2, 3, 4) if batch == 7 else (4,):
        other, other_log = run(*setup, devices=devices)
        assert_equal(one, other)
        assert_equal(log, other_log)


def test_same_bits_on_1_2_and_4_devices_with_lenet():
    scorer = qd_fool.load_scorer("lenet")
    encoding = qd_fool.make_encoding("direct", scorer.image_shape)
    config = me.MapElitesConfig(batch_size=200, chunk=50)
    one, _ = run(scorer, encoding, config, cut=(5,))
    for devices in (2, 4):
        assert_equal(one, run(scorer, encoding, config, devices=devices, cut=(5,))[0])


def test_segments_cut_differently_give_the_same():
    setup = tiny()
    whole, log = run(*setup, cut=(8, 4))
    pieces, piece_log = run(*setup, cut=(1, 3, 2, 6))
    assert_equal(whole, pieces)
    assert_equal(log, piece_log)
    longer, _ = run(*setup, cut=(12,), length=16)
    assert_equal(whole, longer)


def test_seeds_differ():
    a, b = run(*tiny(), seed=0)[0], run(*tiny(), seed=1)[0]
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
    mesh = make_mesh(2)
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
    mesh = make_mesh(1)
    segment = make_segment(scorer, encoding, config, mesh=mesh, length=2)
    state = replicate(me.init(encoding, CLASSES, seed=0), mesh)
    segment(state, replicate(scorer.params, mesh), np.int32(1))
    assert state.archive.genomes.is_deleted()


def test_one_generation_equals_ask_score_tell_by_hand():
    """A plain loop: parents and ids from `ask`, scores by NumPy, cells by comparison."""
    scorer, encoding, config = tiny()
    state = me.init(encoding, CLASSES, seed=3)
    weights = np.asarray(scorer.params, np.float64)
    best = np.full(CLASSES, -np.inf)
    for generation in range(4):
        offspring = me.ask(state, jnp.arange(20), encoding=encoding, config=config)
        np.testing.assert_array_equal(offspring.id, generation * 20 + np.arange(20))
        images = np.asarray(encoding.render(offspring.genomes), np.float64)
        logits = (images / 256).reshape(20, -1) @ weights
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        best = np.maximum(best, np.log(p / (1 - p)).max(axis=0))
        if generation:
            cells = np.asarray(offspring.parent_class)
            np.testing.assert_array_equal(np.asarray(state.archive.id)[cells], offspring.parent_id)
        else:
            assert set(np.asarray(offspring.parent_id)) == {-1}
        state, log = me.step(state, scorer.params, scorer=scorer, encoding=encoding, config=config)
        np.testing.assert_allclose(state.archive.fitness, best, rtol=1e-4, atol=1e-4)
        assert int(log.generation) == generation


def test_elites_never_get_worse_and_replacements_are_counted():
    state, log = run(*tiny(), cut=(8, 8))
    assert np.all(np.diff(log.fitness, axis=0) >= 0)
    assert log.inserted[0].all()
    changes = log.inserted[1:].sum()
    assert log.replacements[0] == 0
    assert log.replacements[-1] == changes == state.replacements
    assert np.all((np.diff(log.fitness, axis=0) > 0) == log.inserted[1:])


def test_lineage_of_each_insertion():
    _, log = run(*tiny(), cut=(8, 8))
    batch = 20
    born = log.id // batch
    rows = np.arange(16)[:, None]
    assert np.all(born[log.inserted] == np.broadcast_to(rows, born.shape)[log.inserted])
    for g in range(1, 16):
        for cell in np.flatnonzero(log.inserted[g]):
            assert log.id[g - 1, log.parent_class[g, cell]] == log.parent_id[g, cell]


def test_argmax_rule_leaves_cells_empty_that_no_picture_is_of():
    weights = np.zeros((SIZE * SIZE, 3))
    weights[:, 0] = 1.0  # all pictures are of class 0
    setup = tiny(linear_scorer(weights, classes=3), archive_rule="argmax")
    state, _ = run(*setup)
    np.testing.assert_array_equal(np.isfinite(state.archive.fitness), [True, False, False])


def test_nan_scores_never_enter_and_the_first_bad_generation_is_told():
    scorer, encoding, config = tiny()
    bad = dataclasses.replace(
        scorer,
        apply=lambda w, x: (
            jnp.where(x[:, 0, 0, :1] > 0.9, jnp.nan, 1.0) * (x.reshape(x.shape[0], -1) @ w)
        ),
    )
    for devices in (1, 2):
        state, log = run(bad, encoding, config, devices=devices)
        first = int(state.bad_generation)
        assert first >= 0
        assert np.isfinite(state.archive.fitness).all()
        assert np.isfinite(log.fitness).all()
    with pytest.raises(UserError, match=f"first in generation {first}"):
        raise_if_bad(state)
    with pytest.raises(UserError, match="NaN or infinite scores"):
        qd_fool.evolve(bad, encoding, generations=3, config=config)


def test_step_can_be_vmapped_over_seeds_and_networks():
    scorer, encoding, config = tiny()
    seeds = jnp.arange(3)
    states = jax.vmap(lambda s: me.init(encoding, CLASSES, seed=s))(seeds)
    params = jnp.stack([scorer.params] * 3)

    def one(state, p):
        return me.step(state, p, scorer=scorer, encoding=encoding, config=config)

    many = jax.jit(jax.vmap(one))
    for _ in range(4):
        states, log = many(states, params)
    assert log.inserted.shape == (3, CLASSES)
    for seed in range(3):
        alone, _ = run(scorer, encoding, config, cut=(4,), seed=seed)
        mine = jax.tree.map(lambda a, i=seed: a[i], states)
        np.testing.assert_array_equal(alone.archive.id, mine.archive.id)
        np.testing.assert_array_equal(alone.archive.genomes, mine.archive.genomes)


def test_evolve_in_three_lines():
    scorer = qd_fool.load_scorer("lenet")
    encoding = qd_fool.make_encoding("direct", scorer.image_shape)
    state = qd_fool.evolve(scorer, encoding, generations=20, devices=2)
    assert int(state.generation) == 21
    assert np.median(1 / (1 + np.exp(-state.archive.fitness))) > 0.5


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"chunk": 0}, "chunk is 0"),
        ({"archive_rule": "best"}, "archive rule is 'best': expected one of all, argmax"),
    ],
)
def test_settings_out_of_range(fields, message):
    with pytest.raises(UserError, match=message):
        me.MapElitesConfig(**fields)


def test_more_devices_than_there_are():
    with pytest.raises(UserError, match="devices is 99: this process has 4"):
        make_mesh(99)


def test_pictures_too_small_are_refused_before_compiling():
    scorer, _, config = tiny()
    small = qd_fool.make_encoding("direct", (SIZE - 1, SIZE, 1))
    with pytest.raises(UserError, match="images are 5x6"):
        make_segment(scorer, small, config, mesh=make_mesh(1), length=2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"generations": -1}, "generations is -1"),
        ({"generations": 2**31}, "fewer than 2\\^31"),
        ({"generations": 1, "seed": 2**32}, "seed is 4294967296"),
    ],
)
def test_runs_that_32_bits_cannot_count(fields, message):
    scorer, encoding, config = tiny()
    with pytest.raises(UserError, match=message):
        qd_fool.evolve(scorer, encoding, config=config, **fields)


@pytest.mark.parametrize("name", ["direct", "cppn"])
def test_a_users_jax_settings_do_not_matter(name):
    scorer, _, config = tiny()
    setup = scorer, qd_fool.make_encoding(name, scorer.image_shape), config
    plain, _ = run(*setup)
    with jax.enable_x64(True):
        wide, _ = run(*setup)
    with jax.default_prng_impl("rbg"):
        other, _ = run(*setup)
    assert_equal(plain, wide)
    assert_equal(plain, other)


@pytest.mark.parametrize("evaluations", [1, 40, 59, 60, 61, 1000])
def test_generations_are_those_that_evaluations_pay_for(evaluations):
    _, encoding, config = tiny()
    generations = me.generations_for(config, evaluations, encoding=encoding)
    assert generations == max(1, evaluations // 20 - 1)
    after = me.counted_evaluations(config, generations, encoding=encoding)
    assert after <= max(evaluations, 40) < after + 20
