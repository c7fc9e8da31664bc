"""One suite for all encodings: a new one is tested by being registered."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import quick_jit

from qd_fool.encodings import ENCODINGS, make_encoding
from qd_fool.errors import UserError

GRAY, COLOUR = (28, 28, 1), (9, 14, 3)
EXTRA = {
    "direct": [(COLOUR, {"genes": "float"}), (COLOUR, {"crossover_rate": 0.5})],
    "cppn": [
        (
            COLOUR,
            {"most_mutations": 3, "crossover_rate": 0.5, "zoom": 0.5}
            | {"max_nodes": 12, "max_edges": 20},
        )
    ],
}
CASES = [(name, shape, {}) for name in ENCODINGS for shape in (GRAY, COLOUR)] + [
    (name, *case) for name in ENCODINGS for case in EXTRA.get(name, [])
]


def keys(n: int, seed: int = 0):
    return jax.random.split(jax.random.key(seed), n)


def jitted(plain):
    """The encoding with each function compiled once for all tests; called eagerly, most
    operations would be compiled one by one."""
    functions = {name: getattr(plain, name) for name in ("init", "vary", "render", "render_float")}
    variables = plain.variables and dataclasses.replace(
        plain.variables,
        **{name: jax.jit(getattr(plain.variables, name)) for name in ("take", "put", "draw")},
    )
    compiled = {
        name: function if function is None or hasattr(function, "lower") else jax.jit(function)
        for name, function in functions.items()
    }
    return dataclasses.replace(plain, variables=variables, **compiled)


@functools.cache
def made(name, image_shape, settings):
    return jitted(make_encoding(name, image_shape, **dict(settings)))


# The last of EXTRA has graphs in colour, too.
SELDOM = [("cppn", COLOUR, {})]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(c, marks=[pytest.mark.long] if c in SELDOM else [], id=str(c)) for c in CASES
    ],
)
def encoding(request):
    name, image_shape, settings = request.param
    return made(name, image_shape, tuple(settings.items()))


@pytest.fixture
def image_shape(encoding):
    return encoding.image_shape


def equal(a, b) -> bool:
    return all(map(np.array_equal, jax.tree.leaves(a), jax.tree.leaves(b)))


@functools.cache
def offspring_of(encoding, n=6, generation=1, seed=1):
    parents = encoding.init(keys(n))
    mates = encoding.init(keys(n, 7))
    return parents, encoding.vary(keys(n, seed), parents, mates, jnp.int32(generation))


def test_render_gives_8_bit_pictures_of_the_shape(encoding, image_shape):
    images = encoding.render(encoding.init(keys(6)))
    assert images.shape == (6, *image_shape)
    assert images.dtype == jnp.uint8


def test_a_window_is_that_part_of_the_pictures(encoding, image_shape):
    if encoding.render_window is None:
        pytest.skip("draws whole pictures only")
    _, genomes = offspring_of(encoding)
    top, left = 3, 1
    rows, columns = image_shape[0] - 4, image_shape[1] - 5
    window = encoding.render_window(genomes, (top, left, rows, columns))
    whole = np.asarray(encoding.render(genomes))
    np.testing.assert_array_equal(window, whole[:, top : top + rows, left : left + columns])


def test_random_individuals_differ_and_show_something(encoding):
    images = np.asarray(encoding.render(encoding.init(keys(6))))
    assert len({image.tobytes() for image in images}) > 3
    assert images.std() > 0


def test_vary_keeps_structure_shapes_and_dtypes(encoding):
    parents, children = offspring_of(encoding)
    shapes = jax.tree.map(lambda a: (a.shape, a.dtype), parents)
    assert shapes == jax.tree.map(lambda a: (a.shape, a.dtype), children)


def test_vary_changes_genomes(encoding):
    parents, children = offspring_of(encoding)
    assert not equal(parents, children)


def test_same_keys_same_result(encoding):
    _, once = offspring_of(encoding)
    assert equal(encoding.init(keys(6)), encoding.init(keys(6)))
    assert equal(once, offspring_of.__wrapped__(encoding)[1])
    assert equal(encoding.render(once), encoding.render(once))


# Each operation is compiled by itself here, and the loops of a graph's mutation run in Python.
UNJITTED = [
    pytest.param(case, marks=[pytest.mark.long] if case[0] == "cppn" else [])
    for case in CASES
    if case[1] == COLOUR or "crossover_rate" in case[2]
]


@pytest.mark.parametrize("case", UNJITTED, ids=str)
def test_same_keys_same_result_jitted_or_not(case):
    name, image_shape, settings = case
    compiled = made(name, image_shape, tuple(settings.items()))
    _, once = offspring_of(compiled)
    plain = make_encoding(name, image_shape, **settings)
    assert equal(plain.render(once), compiled.render(once))
    with jax.disable_jit():
        assert equal(plain.init(keys(6)), compiled.init(keys(6)))
        _, slow = offspring_of.__wrapped__(plain)
    for a, b in zip(jax.tree.leaves(once), jax.tree.leaves(slow), strict=True):
        # Compiled float arithmetic may fuse: bytes may fall on the other side of a rounding.
        assert np.mean(np.abs(a.astype(float) - b.astype(float)) > 1e-5) < 1e-3


def test_an_individual_depends_on_its_own_key_only(encoding):
    """In another place and in other company it is the same; the number stays, for it is compiled
    in."""
    here, there = np.array([3, 4, 5]), np.array([2, 0, 4])
    result, others = keys(6), keys(6, 8)

    def placed(whole, company):
        """What is here, there."""
        return jax.tree.map(lambda a, b: b.at[there].set(a[here]), whole, company)

    def same(whole, other):
        return equal(
            jax.tree.map(lambda a: np.asarray(a)[here], whole),
            jax.tree.map(lambda a: np.asarray(a)[there], other),
        )

    moved = placed(result, others)
    parents, strangers = encoding.init(result), encoding.init(moved)
    assert same(parents, strangers)
    children = encoding.vary(result, parents, parents, jnp.int32(3))
    assert same(children, encoding.vary(moved, strangers, strangers, jnp.int32(3)))
    assert same(encoding.render(parents), encoding.render(strangers))


def test_generation_does_not_trigger_recompilation(encoding):
    parents, _ = offspring_of(encoding)
    sizes = set()
    for generation in (1, 999, 1000, 5000):
        encoding.vary(keys(6), parents, parents, jnp.int32(generation))
        sizes.add(encoding.vary._cache_size())
    assert len(sizes) == 1


def test_float_render_agrees_with_bytes_and_has_a_gradient(encoding):
    if encoding.render_float is None:
        pytest.skip("this encoding has no gradient")
    genomes = encoding.init(keys(6))
    unrounded = encoding.render_float(genomes)
    gap = np.abs(np.asarray(unrounded) - np.asarray(encoding.render(genomes), np.float32))
    # A hue cut to 8 bits moves a channel by up to 17 levels; gray by less than one.
    assert gap.max() < (1.0 if encoding.image_shape[2] == 1 else 20.0)
    floats = jax.tree.map(lambda a: a.astype(jnp.float32), genomes)
    gradient = quick_jit(jax.grad(lambda g: jnp.sum(encoding.render_float(g))))(floats)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient))
    assert any(np.any(g != 0) for g in jax.tree.leaves(gradient))


def test_variables_are_the_part_that_a_gradient_may_move(encoding):
    """Put back as taken nothing changes; out of bounds they are clipped; no step, no effect."""
    if encoding.variables is None:
        pytest.skip("a gradient can move nothing in it")
    variables, genomes = encoding.variables, encoding.init(keys(6))
    values = variables.take(genomes)
    assert values.dtype == jnp.float32
    back = variables.put(genomes, values)
    for a, b in zip(jax.tree.leaves(genomes), jax.tree.leaves(back), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    drawn = variables.draw(genomes, values)
    np.testing.assert_array_equal(drawn, encoding.render_float(genomes))
    steps = variables.steps(genomes)
    assert steps.shape == values.shape
    assert np.all((np.asarray(steps) >= 0) & (np.asarray(steps) <= 1))
    far = variables.take(variables.put(genomes, values + 1e4))
    np.testing.assert_allclose(np.where(steps > 0, far, variables.high), variables.high, rtol=1e-6)
    idle = jnp.where(steps > 0, values, values + 1.0)
    assert equal(variables.put(genomes, idle), back)


def test_another_size_shows_the_same(encoding, image_shape):
    if encoding.render_at is None:
        pytest.skip("its genomes know one size only")
    genomes = encoding.init(keys(6))
    same = encoding.render_at(genomes, image_shape[:2])
    assert np.array_equal(same, encoding.render(genomes))
    assert encoding.render_at(genomes, (40, 30)).shape == (6, 40, 30, image_shape[2])


def test_an_operator_makes_small_changes_of_the_given_size(encoding):
    """Shapes and types stay; equal keys give equal offspring; a fine step grows with its size."""
    parents, mates = encoding.init(keys(6)), encoding.init(keys(6, 7))

    def apply(steps):
        changed = {n: op.vary(keys(6, 1), parents, mates, steps) for n, op in operators.items()}
        return changed, encoding.render(changed["fine"]) if changed else None

    operators, compiled = encoding.operators, jax.jit(apply)
    if not operators:
        pytest.skip("it has no operators")
    step = operators["fine"].step
    small, small_pictures = compiled(jnp.full(6, step))
    for changed in small.values():
        shapes = jax.tree.map(lambda a: (a.shape, a.dtype), parents)
        assert shapes == jax.tree.map(lambda a: (a.shape, a.dtype), changed)
        assert not equal(parents, changed)
    assert equal(small, compiled(jnp.full(6, step))[0])

    # The mean change of a picture, in gray levels.
    before = np.asarray(encoding.render(parents), float)
    large_pictures = compiled(jnp.full(6, 20 * step))[1]
    near, far = (np.abs(np.asarray(p) - before).mean() for p in (small_pictures, large_pictures))
    assert 0 < near < far


def test_refusals_are_counted_an_individual(encoding):
    if encoding.refusals is None:
        pytest.skip("nothing is ever refused")
    parents, children = offspring_of(encoding)
    assert encoding.refusals(parents).shape == (6,)
    assert np.all(np.asarray(encoding.refusals(parents)) == 0)
    assert np.all(np.asarray(encoding.refusals(children)) >= 0)


def test_a_described_genome_is_json(encoding):
    if encoding.describe is None:
        pytest.skip("nothing to read in a genome")
    genomes = jax.device_get(encoding.init(keys(6)))
    output = [json.dumps(encoding.describe(genomes, i)) for i in range(6)]
    assert len(set(output)) == 6


def test_unknown_encoding_is_told_with_those_there_are():
    with pytest.raises(UserError, match="unknown encoding 'wavelet': expected one of cppn, direct"):
        make_encoding("wavelet", (28, 28, 1))


def test_keys_of_another_kind_and_nobody_at_all(encoding, image_shape):
    other = jax.random.split(jax.random.key(0, impl="rbg"), 6)
    genomes = encoding.init(other)
    assert len(np.unique(np.asarray(encoding.render(genomes)).reshape(6, -1), axis=0)) > 1
    nobody = jax.tree.map(lambda a: a[:0], genomes)
    assert encoding.render(nobody).shape == (0, *image_shape)
