"""Where offspring come from: fair shares, one contract for all emitters, honest counting."""

import dataclasses
import functools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import CLASSES, SIZE, assert_equal, linear_scorer, run, tiny

import qd_fool
from qd_fool import map_elites as me
from qd_fool.archive import empty_archive
from qd_fool.emitters.base import EMITTERS
from qd_fool.emitters.gradient import GradientSettings
from qd_fool.emitters.operator_settings import OperatorSettings
from qd_fool.emitters.shares import Share, chunk_emitters
from qd_fool.emitters.table import OPERATORS
from qd_fool.emitters.variation import VariationSettings
from qd_fool.errors import UserError

VARIATION = Share("variation", 1.0, VariationSettings())
GRADIENT = Share("gradient", 1.0, GradientSettings(steps=2, rate=4.0))


def shared(*numbers):
    return [Share("variation", n, VariationSettings()) for n in numbers]


@pytest.mark.parametrize("numbers", [(1.0,), (1.0, 1.0), (3.0, 1.0), (1.0, 9.0), (2.0, 3.0, 5.0)])
def test_chunks_are_shared_as_evenly_as_can_be(numbers):
    """At no point is anyone a whole chunk or more behind or ahead of its share."""
    order = chunk_emitters(shared(*numbers), 40)
    whole = sum(map(Fraction, numbers))
    for upto in range(1, 41):
        counts = np.bincount(order[:upto], minlength=len(numbers))
        for count, number in zip(counts, numbers, strict=True):
            assert abs(int(count) - upto * Fraction(number) / whole) < 1


def default_shares(name, kind):
    """The emitter alone; all of the encoding's operators in one run, which is compiled once."""
    names = [name]
    if name == "operators":
        names = list(qd_fool.make_encoding(kind, (SIZE, SIZE, 1)).operators)
    return tuple(Share(name, 1.0, EMITTERS[name].settings()) for name in names)


NAMES = [*(name for name in EMITTERS if name not in OPERATORS), "operators"]


def cases(*slow):
    """Each emitter with each encoding; some only in `make test-all`."""
    return [
        pytest.param(
            kind,
            name,
            marks=[pytest.mark.long] if f"{kind}-{name}" in slow else [],
            id=f"{kind}-{name}",
        )
        for kind in ("direct", "cppn")
        for name in NAMES
    ]


def small(name, kind):
    shares = default_shares(name, kind)
    rule = "adaptive" if name == "operators" else "fixed"
    return tiny(encoding=kind, batch_size=8, chunk=2, emitters=shares, shares=rule)


# `test_cppn_run.py` has the variation of graphs.
@pytest.mark.parametrize(("kind", "name"), cases("cppn-variation"))
def test_contract(name, kind):
    """Alone in its run: the archive only improves, and who made whom is known."""
    scorer, encoding, config = small(name, kind)
    _, log = run(scorer, encoding, config, devices=2, cut=(4,), length=4)
    assert (np.diff(log.fitness, axis=0) >= 0).all()
    assert log.replacements[-1] > 0
    inserted = log.inserted[1:]
    born = np.broadcast_to(log.generation[1:, None], inserted.shape)[inserted]
    np.testing.assert_array_equal(log.id[1:][inserted] // 8, born)
    parent, cell = log.parent_id[1:][inserted], log.parent_class[1:][inserted]
    # A parent is the elite of that cell one generation before.
    np.testing.assert_array_equal(log.id[born - 1, cell], parent)


@functools.cache
def functions_of(scorer, encoding, config):
    """The four functions of a generation, each compiled by itself."""
    facts = {"encoding": encoding, "config": config}
    return (
        jax.jit(functools.partial(me.ask, **facts)),
        jax.jit(functools.partial(me.improve, scorer=scorer, **facts)),
        jax.jit(functools.partial(me.score, scorer=scorer, **facts)),
        jax.jit(functools.partial(me.tell, **facts, log_offspring=True)),
    )


def assert_a_loop_of_four_is_the_run(scorer, encoding, config, *, devices=2, length=4):
    """The bits of a sharded run: states, logs and offspring."""
    expected, logs = run(scorer, encoding, config, devices=devices, length=length, cut=(4,))
    ask, improve, score, tell = functions_of(scorer, encoding, config)
    state = me.init(encoding, len(scorer.class_names), seed=0, feedback=config.feedback)
    for generation in range(4):
        offspring = ask(state)
        offspring = improve(state, offspring, scorer.params)
        scores = np.asarray(score(offspring, scorer.params))
        before = state
        state, log = tell(state, offspring, scores)
        row = jax.tree.map(lambda a, i=generation: a[i], logs)
        assert_equal(dataclasses.replace(log, offspring=None), row)
    assert_equal(state, expected)
    return before, offspring, scores


@pytest.mark.parametrize(("kind", "name"), cases("cppn-variation", "cppn-gradient"))
def test_ask_improve_score_and_tell_are_a_step(name, kind):
    """The sharded run is that of `test_contract`, with its program."""
    setup = small(name, kind)
    before, offspring, _ = assert_a_loop_of_four_is_the_run(*setup)
    np.testing.assert_array_equal(offspring.id, int(before.generation) * 8 + np.arange(8))


OTHER_PARENTS = tuple(
    Share("variation", 1.0, VariationSettings(parents)) for parents in ("young", "weak", "strong")
)


@pytest.mark.parametrize(
    ("kind", "emitters"),
    [
        pytest.param("direct", (VARIATION, GRADIENT), id="direct"),
        # `test_the_better_of_two_parents` has the other parents, and the test above has each
        # emitter of graphs by itself.
        pytest.param("direct", (*OTHER_PARENTS, GRADIENT), id="parents", marks=pytest.mark.long),
        pytest.param("cppn", (VARIATION, GRADIENT), id="cppn", marks=pytest.mark.long),
    ],
)
def test_ask_improve_score_and_tell_are_a_step_of_a_mixture(kind, emitters):
    """And a share of the batch, in whole chunks, has the bits that it has in the whole batch.

    The sharded run has the program of the next test.
    """
    setup = scorer, encoding, config = tiny(encoding=kind, batch_size=18, emitters=emitters)
    state, offspring, scores = assert_a_loop_of_four_is_the_run(*setup, devices=4, length=8)

    # Only the last emitter uses the network.
    ask, improve, score, _ = functions_of(scorer, encoding, config)
    climbs = chunk_emitters(emitters, 5)[np.arange(18) // 4] == len(emitters) - 1
    changed = np.zeros(18, bool)
    for a, b in zip(*map(jax.tree.leaves, (ask(state), offspring)), strict=True):
        changed |= (np.asarray(a) != np.asarray(b)).reshape(18, -1).any(axis=1)
    assert changed[climbs].any()
    assert not changed[~climbs].any()

    # The last three chunks; the last of them is not full.
    share = improve(state, ask(state, jnp.arange(8, 18)), scorer.params)
    assert_equal(share, jax.tree.map(lambda a: a[8:], offspring))
    np.testing.assert_array_equal(score(share, scorer.params), scores[8:])


def test_a_mixture_is_the_same_on_any_number_of_devices():
    """More devices than chunks of one emitter, and a batch that fills no whole chunks."""
    scorer, encoding, config = tiny(batch_size=18, emitters=(VARIATION, GRADIENT))
    one, log = run(scorer, encoding, config)
    assert me.offspring_of(config) == [10, 8]
    other, other_log = run(scorer, encoding, config, devices=4)
    assert_equal(one, other)
    assert_equal(log, other_log)


def test_a_gradient_step_counts_as_four_evaluations():
    _, encoding, config = tiny(batch_size=18, emitters=(VARIATION, GRADIENT))
    assert me.counted_evaluations(config, 0, encoding=encoding) == 18
    assert me.counted_evaluations(config, 3, encoding=encoding) == 18 + 3 * (10 + 8 * (1 + 2 * 4))
    plain = dataclasses.replace(config, emitters=(VARIATION,))
    assert me.counted_evaluations(plain, 3, encoding=encoding) == 4 * 18


def test_one_emitter_alone_is_what_the_loop_always_was():
    """A variation emitter beside itself gives the individuals that it gives alone."""
    scorer, encoding, config = tiny()
    twice = dataclasses.replace(config, emitters=(VARIATION, VARIATION))
    assert_equal(run(scorer, encoding, config), run(scorer, encoding, twice))


def test_the_gradient_of_a_linear_network_is_climbed_as_by_hand():
    """Signs of the weights' difference, once: Adam's first step."""
    scorer, encoding, _ = tiny(linear_scorer(classes=2))
    emitter = EMITTERS["gradient"].build(GradientSettings(steps=1, rate=3.0), encoding, scorer, 1)
    genomes = jnp.asarray(np.random.default_rng(1).integers(0, 256, (4, 36)), jnp.uint8)
    classes = jnp.asarray([0, 1, 1, 0])
    improved = np.asarray(emitter.improve(scorer.params, genomes, classes)).astype(int)
    weights = np.asarray(scorer.params)
    toward = np.sign(weights[:, 0] - weights[:, 1])
    expected = np.asarray(genomes) + 3 * np.where(classes[:, None] == 0, toward, -toward)
    np.testing.assert_array_equal(improved, np.clip(expected, 0, 255).astype(int))


def full_archive(fitness, born):
    shape = jax.ShapeDtypeStruct((3,), jnp.float32)
    archive = empty_archive(shape, len(fitness))
    return dataclasses.replace(
        archive, fitness=jnp.asarray(fitness, jnp.float32), born=jnp.asarray(born, jnp.int32)
    )


@pytest.mark.parametrize(
    ("parents", "best"), [("young", 2), ("weak", 1), ("strong", 0), ("uniform", None)]
)
def test_the_better_of_two_parents(parents, best):
    """The best of n is drawn with probability 1 - (1 - 1/n)^2; an empty cell never."""
    archive = full_archive([3.0, -4.0, 1.0, -np.inf], [5, 2, 9, 99])
    encoding = qd_fool.make_encoding("direct", (3, 1, 1))
    emitter = EMITTERS["variation"].build(VariationSettings(parents), encoding, None, 1)
    keys = jax.random.split(jax.random.key(0), 4000)
    cells = np.asarray(emitter.choose(keys, archive, jnp.arange(4000)))
    assert set(cells.ravel()) == {0, 1, 2}
    shares = np.bincount(cells[:, 0], minlength=4) / 4000
    expected = [1 / 3] * 3 if best is None else [5 / 9 if k == best else 2 / 9 for k in range(3)]
    middle = [k for k in range(3) if best is not None and k != best]
    if middle:
        assert shares[best] == pytest.approx(5 / 9, abs=0.03)
        assert sorted(shares[middle]) == pytest.approx([1 / 9, 3 / 9], abs=0.03)
    else:
        assert shares[:3] == pytest.approx(expected, abs=0.03)
    assert abs(np.corrcoef(cells.T)[0, 1]) < 0.07  # a mate is drawn by itself
    assert np.bincount(cells[:, 1])[:3] / 4000 == pytest.approx([1 / 3] * 3, abs=0.03)


@pytest.mark.parametrize(
    ("rule", "weigh"),
    [
        ("promising", lambda p: round(p * (1 - p) * 2**15) + 2**9),
        ("unsure", lambda p: 1.1 - p),
    ],
)
def test_parents_are_drawn_by_their_confidence(rule, weigh):
    """Promising: p (1 - p) and a little more; unsure: what p lacks; an empty cell never."""
    odds = [0.0, 2.0, 9.0, -np.inf, -3.0]
    archive = full_archive(odds, [0] * 5)
    encoding = qd_fool.make_encoding("direct", (3, 1, 1))
    settings = OperatorSettings(parents=rule)
    emitter = EMITTERS["fine"].build(settings, encoding, None, 1)
    keys = jax.random.split(jax.random.key(0), 8000)
    cells = np.asarray(emitter.choose(keys, archive, jnp.arange(8000)))
    p = [1 / (1 + math.exp(-x)) if x > -np.inf else None for x in odds]
    worth = [0 if q is None else weigh(q) for q in p]
    expected = np.array(worth) / sum(worth)
    assert np.bincount(cells[:, 0], minlength=5) / 8000 == pytest.approx(expected, abs=0.02)
    assert set(cells[:, 1]) == {0, 1, 2, 4}


def test_a_step_of_nothing():
    encoding = qd_fool.make_encoding("direct", (3, 1, 1))
    with pytest.raises(UserError, match="fine_step is 0"):
        EMITTERS["fine"].build(OperatorSettings(step=0.0), encoding, None, 1)


def test_an_encoding_without_the_operator():
    encoding = qd_fool.make_encoding("direct", (3, 1, 1))
    with pytest.raises(UserError, match="emitter edge: the direct encoding has no such operator"):
        EMITTERS["edge"].build(OperatorSettings(), encoding, None, 1)


def test_gradients_go_round_the_cells_below_the_ceiling():
    archive = full_archive([3.0, 40.0, 1.0, -np.inf, -2.0], [0] * 5)
    encoding = qd_fool.make_encoding("direct", (3, 1, 1))
    emitter = EMITTERS["gradient"].build(GradientSettings(), encoding, None, 1)
    keys = jax.random.split(jax.random.key(0), 7)
    cells = np.asarray(emitter.choose(keys, archive, 3 + jnp.arange(7)))
    np.testing.assert_array_equal(cells[:, 0], [0, 2, 4, 0, 2, 4, 0])


@pytest.mark.parametrize(
    ("make", "output"),
    [
        (lambda: Share("variation", 0.0, VariationSettings()), "its share is 0.0"),
        (lambda: Share("gradient", 1.0, VariationSettings()), "expected GradientSettings"),
        (lambda: Share("nosuch", 1.0, None), "unknown emitter"),
        (lambda: VariationSettings("old"), "parents is 'old': expected one of uniform"),
        (lambda: OperatorSettings(parents="old"), "parents is 'old': expected one of uniform"),
        (lambda: GradientSettings(steps=0), "gradient_steps is 0"),
        (lambda: GradientSettings(rate=0.0), "gradient_rate is 0.0"),
        (lambda: GradientSettings(ceiling=1.0), "gradient_ceiling is 1.0"),
        (
            lambda: me.MapElitesConfig(
                batch_size=8, chunk=4,
                emitters=(Share("gradient", 0.01, GradientSettings()), VARIATION),
            ),
            "its share of 2 chunks of 4 is less than one",
        ),
    ],
)  # fmt: skip
def test_bad_settings(make, output):
    with pytest.raises(UserError, match=output.replace("(", r"\(")):
        make()


def test_an_encoding_without_variables_has_no_gradient():
    encoding = qd_fool.make_encoding("direct", (3, 1, 1))
    without = dataclasses.replace(encoding, variables=None)
    with pytest.raises(UserError, match="nothing that a gradient could move"):
        EMITTERS["gradient"].build(GradientSettings(), without, None, 1)


def test_cells_without_a_gradient_stay_as_they_are():
    """Infinite and NaN slopes move nothing."""
    scorer, encoding, _ = tiny(linear_scorer(weights=np.full((36, CLASSES), np.nan)))
    emitter = EMITTERS["gradient"].build(GradientSettings(), encoding, scorer, 1)
    genomes = jnp.asarray(np.random.default_rng(1).integers(0, 256, (4, 36)), jnp.uint8)
    improved = emitter.improve(scorer.params, genomes, jnp.zeros(4, jnp.int32))
    np.testing.assert_array_equal(improved, genomes)
