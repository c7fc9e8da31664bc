"""One generation: by hand, honest counting, lineage, who may enter which cell."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import CLASSES, SIZE, compiled, linear_scorer, run, tiny

import qd_fool
from qd_fool import map_elites as me
from qd_fool.devices.mesh import replicate
from qd_fool.errors import UserError
from qd_fool.map_elites.segments import raise_if_bad


def test_one_generation_equals_ask_score_tell_by_hand():
    """A plain loop: parents and ids from `ask`, scores by NumPy, cells by comparison."""
    scorer, encoding, config = tiny()
    ask = jax.jit(partial(me.ask, encoding=encoding, config=config))
    mesh, segment = compiled(scorer, encoding, config, devices=1, length=8, log_offspring=False)
    state = replicate(me.init(encoding, CLASSES, seed=3), mesh)
    params = replicate(scorer.params, mesh)
    weights = np.asarray(scorer.params, np.float64)
    best = np.full(CLASSES, -np.inf)
    for generation in range(4):
        offspring = ask(state)
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
        state, log = segment(state, params, np.int32(1))
        np.testing.assert_allclose(state.archive.fitness, best, rtol=1e-4, atol=1e-4)
        assert int(log.generation[0]) == generation


@pytest.mark.parametrize("kind", ["direct", "cppn"])
def test_only_what_the_network_sees_is_drawn(kind):
    """The scores are those of whole pictures, cut by the network."""
    scorer = linear_scorer()
    encoding = qd_fool.make_encoding(kind, (SIZE + 5, SIZE + 2, 1))
    windows = []

    def watched(genomes, window):
        windows.append(window)
        return encoding.render_window(genomes, window)

    config = me.MapElitesConfig(batch_size=8, chunk=4)
    offspring = me.ask(me.init(encoding, CLASSES, seed=0), encoding=encoding, config=config)
    scores = [
        me.score(offspring, scorer.params, scorer=scorer, encoding=changed, config=config)
        for changed in (
            dataclasses.replace(encoding, render_window=watched),
            dataclasses.replace(encoding, render_window=None),
        )
    ]
    assert set(windows) == {(2, 1, SIZE, SIZE)}
    np.testing.assert_array_equal(*scores)


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
    weights = np.zeros((SIZE * SIZE, CLASSES))
    weights[:, 0] = 1.0  # all pictures are of class 0
    setup = tiny(linear_scorer(weights), batch_size=7, archive_rule="argmax")
    state, _ = run(*setup)
    np.testing.assert_array_equal(np.isfinite(state.archive.fitness), [True] + [False] * 4)


def test_nan_scores_never_enter_and_the_first_bad_generation_is_told():
    scorer, encoding, config = tiny()
    bad = dataclasses.replace(
        scorer,
        apply=lambda w, x: (
            jnp.where(x[:, 0, 0, :1] > 0.9, jnp.nan, 1.0) * (x.reshape(x.shape[0], -1) @ w)
        ),
    )
    state, log = run(bad, encoding, config)
    first = int(state.bad_generation)
    assert first >= 0
    assert np.isfinite(state.archive.fitness).all()
    assert np.isfinite(log.fitness).all()
    with pytest.raises(UserError, match=f"NaN or infinite scores, first in generation {first}"):
        raise_if_bad(state)


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
        computed = jax.tree.map(lambda a, i=seed: a[i], states)
        np.testing.assert_array_equal(alone.archive.id, computed.archive.id)
        np.testing.assert_array_equal(alone.archive.genomes, computed.archive.genomes)
