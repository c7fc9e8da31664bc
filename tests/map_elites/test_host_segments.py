"""Generations against a network on the host: as against the same network in JAX."""

import dataclasses

import jax
import numpy as np
import on_host
import pytest
import tiny

import qd_fool
from qd_fool import map_elites as me
from qd_fool.devices.mesh import make_mesh
from qd_fool.emitters import GradientSettings, Share, VariationSettings
from qd_fool.emitters.table import EMITTERS
from qd_fool.emitters.variation import variation
from qd_fool.errors import UserError
from qd_fool.map_elites.host_segments import HostSegment, Unfinished
from qd_fool.map_elites.segments import compile_segment, make_segment
from qd_fool.models.joint import join_scorers

HALF_BY_GRADIENT = (
    Share("variation", 1.0, VariationSettings()),
    Share("gradient", 1.0, GradientSettings(steps=2)),
)


def evolved(scorer, encoding="direct", *, cut=(7,), **fields):
    scorer, genomes, config = tiny.tiny(scorer, encoding=encoding, batch_size=18, **fields)
    return tiny.run(scorer, genomes, config, cut=cut, length=8)


@pytest.mark.parametrize("encoding", ["direct", pytest.param("cppn", marks=pytest.mark.long)])
def test_the_search_is_that_in_jax(encoding):
    host, host_log = evolved(on_host.plain(), encoding)
    native, native_log = evolved(tiny.linear_scorer(), encoding)
    np.testing.assert_array_equal(host.archive.id, native.archive.id)
    np.testing.assert_array_equal(host_log.inserted, native_log.inserted)
    np.testing.assert_allclose(host.archive.fitness, native.archive.fitness, atol=1e-5)
    assert jax.tree.structure(host_log) == jax.tree.structure(native_log)


def test_segments_of_any_length_give_the_same_bits():
    tiny.assert_equal(evolved(on_host.plain()), evolved(on_host.plain(), cut=(1, 4, 2)))


def test_the_gradient_emitter_climbs_on_the_host_and_in_jax_together():
    scorer = join_scorers([on_host.with_gradient(), tiny.linear_scorer()])
    state, _ = evolved(scorer, emitters=HALF_BY_GRADIENT)
    without, _ = evolved(on_host.plain())
    assert state.archive.fitness.mean() > without.archive.fitness.mean() + 1


def segment_of(scorer, **fields):
    scorer, encoding, config = tiny.tiny(scorer, **fields)
    segment = make_segment(scorer, encoding, config, mesh=make_mesh(1), length=8)
    return segment, me.init(encoding, len(scorer.class_names), seed=0)


def test_each_function_is_traced_once(monkeypatch):
    traced = []
    jit = jax.jit

    def counting(function, **settings):
        def counted(*arguments):
            traced.append(function.__name__)
            return function(*arguments)

        return jit(counted, **settings)

    monkeypatch.setattr("qd_fool.map_elites.host_segments.jax.jit", counting)
    segment, state = segment_of(on_host.host_scorer(gradient=on_host.slopes), batch_size=18)
    compiled = compile_segment(segment, state, ())
    for count in (1, 3, 2):
        state, _ = compiled(state, (), np.int32(count))
    assert {"make_and_draw", "end", "joined"} <= set(traced)
    assert len(traced) == len(set(traced))


def test_a_failure_loses_no_whole_generation():
    calls = 0

    def dying(x):
        nonlocal calls
        calls += 1
        if calls == 14:  # the noise, then 5 calls per generation
            raise ConnectionError("gone")
        return on_host.logits(x)

    segment, state = segment_of(on_host.host_scorer(dying))
    with pytest.raises(Unfinished, match="ConnectionError: gone") as caught:
        segment(state, (), 6)
    assert caught.value.generations == len(caught.value.log.id) == 2
    rest, _ = segment(caught.value.state, (), 4)
    whole, _ = evolved_from(on_host.plain())
    tiny.assert_equal(jax.device_get(rest), jax.device_get(whole))


def evolved_from(scorer):
    segment, state = segment_of(scorer)
    return segment(state, (), 6)


def test_nan_is_a_failure_of_the_generation():
    rows = 0

    def sick(x):
        nonlocal rows
        rows += len(x)
        return on_host.logits(x) * (np.nan if rows > 30 else 1)

    scorer, encoding, config = tiny.tiny(on_host.host_scorer(sick))
    with pytest.raises(UserError, match="returned NaN or infinite scores for 4 of 4 pictures"):
        qd_fool.evolve(scorer, encoding, generations=4, config=config)


def test_what_needs_a_gradient_is_refused_without_one():
    with pytest.raises(UserError, match=r"emitter gradient needs .* logits has none"):
        segment_of(on_host.plain(), emitters=HALF_BY_GRADIENT)


def test_an_emitter_that_knows_jax_alone_is_refused(monkeypatch):
    def nudge(settings, encoding, scorer, crops):
        emitter = variation(settings, encoding, scorer, crops)
        return dataclasses.replace(emitter, improve=lambda params, genomes, classes: genomes)

    entry = dataclasses.replace(EMITTERS["variation"], builder=nudge)
    monkeypatch.setitem(EMITTERS._table, "variation", entry)
    with pytest.raises(UserError, match="emitter variation works only in JAX"):
        segment_of(on_host.with_gradient())


def test_one_place_chooses_the_loop():
    assert isinstance(segment_of(on_host.plain())[0], HostSegment)
    assert not isinstance(segment_of(tiny.linear_scorer())[0], HostSegment)
