"""The backward pass against float64 differences of the walker, and inside what JAX offers."""

import copy
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from oracles.cppn_walker import ACTIVATIONS as ORACLES
from oracles.cppn_walker import walk
from oracles.graphs import cppn, mixed_ages

from qd_fool.encodings.cppn import gradient as graph_gradient
from qd_fool.encodings.cppn.activations import ACTIVATIONS, at_zero
from qd_fool.encodings.cppn.drawing import Playing, tiles_of, write_tapes
from qd_fool.encodings.cppn.encoding import pixel_grid
from qd_fool.encodings.cppn.gradient import LANES, SLOPES, play_with_gradient
from qd_fool.encodings.cppn.graph import Graphs

NAMES = ("sine", "sigmoid", "gaussian", "linear")
OPTIONS = {
    "activations": [ACTIVATIONS[name] for name in NAMES],
    "finish": lambda values: jnp.moveaxis(values, -2, -1),  # the outputs as they are
}
ZEROS = [at_zero(name) for name in NAMES]


def tapes_of(genomes, weight):
    return write_tapes(dataclasses.replace(genomes, weight=weight), outputs=3, at_zero=ZEROS)


@jax.jit
def gradient_of(genomes, grid, pull):
    """`sum(pull * values)` and the values, and its gradient in the genomes' weights."""
    nodes = genomes.activation.shape[1]

    def score(weight):
        values = play_with_gradient(tapes_of(genomes, weight), grid, Playing(nodes, **OPTIONS))
        return jnp.sum(values * pull), values

    return jax.value_and_grad(score, has_aux=True)(genomes.weight)


def walkers_gradient(graph, pull, **coords):
    """The same for one genome by central differences, float64: an entry an edge."""
    slopes = []
    for k in range(len(graph["edges"])):
        sides = []
        for step in (1e-6, -1e-6):
            moved = copy.deepcopy(graph)
            moved["edges"][k]["weight"] += step
            sides.append(np.sum(walk(moved, SIZE[1], SIZE[0], **coords) * pull))
        slopes.append((sides[0] - sides[1]) / 2e-6)
    return np.array(slopes)


def unfed_sources(genomes):
    """Places of edges out of hidden nodes without incoming edges, `(n, edges)`."""
    nodes = genomes.activation.shape[1]
    fed = np.stack([np.isin(np.arange(nodes), t) for t in genomes.target])
    fed[:, :4] = True
    return ~np.take_along_axis(fed, genomes.source.astype(int), 1) & (genomes.target < nodes)


COUNT, SIZE = 12, (26, 40)  # one shape, and one compiled program, for most tests; two tiles


def grid_of(coords):
    settings = cppn((*SIZE, 3), coords=coords, coords_scale=1.0).settings
    return pixel_grid(SIZE, SIZE, settings=settings)


@pytest.fixture(scope="module")
def genomes():
    return mixed_ages(cppn((*SIZE, 3)), 6, (8, 50))


@pytest.fixture(scope="module")
def pull():
    return np.random.default_rng(0).normal(size=(COUNT, SIZE[0] * SIZE[1], 3)).astype(np.float32)


@pytest.mark.parametrize("coords", ["normalized", "raw"])
def test_gradient_equals_float64_differences_of_the_walker(genomes, pull, coords):
    (_, values), found = gradient_of(genomes, grid_of(coords), pull)
    encoding = cppn((*SIZE, 3), coords=coords, coords_scale=1.0)
    found, unfed = np.asarray(found, float), unfed_sources(genomes)
    options = {"coords": coords, "coords_scale": 1.0}
    errors = []
    for i in range(COUNT):
        graph = encoding.describe(genomes, i)
        plain = walk(graph, SIZE[1], SIZE[0], **options)
        np.testing.assert_allclose(values[i], plain.reshape(-1, 3), atol=2e-3)
        wanted = walkers_gradient(graph, pull[i].reshape(*SIZE, 3), **options)
        edges = len(wanted)
        scale = np.linalg.norm(wanted) or 1.0  # 0: no output is fed
        errors.append(np.linalg.norm(found[i, :edges] - wanted) / scale)
        assert not found[i, edges:].any()
        unfed[i, :edges] &= wanted != 0
    assert np.max(errors) < 2e-4
    assert np.median(errors) < 1e-5
    # An edge out of a node that emits f(0), among them, is played as an edge out of the bias.
    assert unfed.any()


def test_in_step_gives_the_same(genomes, pull):
    """The way of accelerators."""
    grid, nodes = grid_of("normalized"), genomes.activation.shape[1]
    tiles = tiles_of(jnp.asarray(grid), multiple=LANES)
    pulls = np.pad(pull, ((0, 0), (0, 2 * tiles.shape[2] - pull.shape[1]), (0, 0)))

    @jax.jit
    def in_step(weight):
        def tape_weight(weight):
            tapes = tapes_of(genomes, weight)
            return tapes.weight, tapes

        _, back, tapes = jax.vjp(tape_weight, weight, has_aux=True)
        pulled = jnp.asarray(pulls.reshape(COUNT, 2, -1, 3))
        return back(graph_gradient._in_step(tapes, tiles, pulled, Playing(nodes, **OPTIONS)))[0]

    one, step = gradient_of(genomes, grid, pull)[1], in_step(genomes.weight)
    assert np.count_nonzero(one) > 100
    scale = np.abs(one).max(axis=1, keepdims=True) + 1e-30
    np.testing.assert_allclose(step / scale, one / scale, atol=1e-4)


def test_gradient_inside_map_cond_scan_vmap_and_shard_map(genomes):
    """One program with all of them."""
    few = jax.tree.map(lambda a: jnp.asarray(a[:8]), genomes)
    nodes = few.activation.shape[1]
    pull = np.random.default_rng(2).normal(size=(1, 70, 3)).astype(np.float32)
    grid = grid_of("normalized")[:, :70]

    def gradient(genomes):
        def score(weight):
            values = play_with_gradient(tapes_of(genomes, weight), grid, Playing(nodes, **OPTIONS))
            return jnp.sum(values * pull)

        return jax.grad(score)(genomes.weight)

    def twice(genomes):
        def turn(total, on):
            more = jax.lax.cond(on, gradient, lambda g: jnp.zeros_like(g.weight), genomes)
            return total + more, None

        return jax.lax.scan(turn, jnp.zeros_like(genomes.weight), jnp.array([True, False, True]))[0]

    def share(genomes):
        """`(4, ...)`: mapped over two, vmapped over two."""
        pairs = jax.tree.map(lambda a: a.reshape(2, 2, 1, *a.shape[1:]), genomes)
        return jax.lax.map(jax.vmap(twice), pairs).reshape(4, -1)

    mesh = Mesh(np.array(jax.devices()[:2]), ("device",))
    split = jax.shard_map(
        share, mesh=mesh, in_specs=P("device"), out_specs=P("device"), check_vma=False
    )
    found, wanted = np.asarray(jax.jit(split)(few)), 2 * np.asarray(jax.jit(gradient)(few))
    assert np.count_nonzero(wanted) > 50
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("name", list(ACTIVATIONS))
@pytest.mark.parametrize("scale", [1.0, 40.0, 5000.0])
def test_slopes_are_those_of_the_function_meant(name, scale):
    s = np.random.default_rng(0).uniform(-scale, scale, 100_000).astype(np.float32)
    if name == "linear":
        s = s[np.abs(np.abs(s) - 3) > 1e-4]
    found = np.asarray(SLOPES[ACTIVATIONS[name]](jnp.asarray(s)), float)
    with np.errstate(under="ignore"):
        up, down = (ORACLES[name](s.astype(float) + step) for step in (1e-5, -1e-5))
    assert np.abs(found - (up - down) / 2e-5).max() < 2e-6
    assert np.abs(found).max() > 1e-6


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_slopes_are_finite(name):
    s = jnp.asarray([0.0, 1e-40, 90.0, 1e4, 1e9, 1.6e12])
    slopes = np.asarray(SLOPES[ACTIVATIONS[name]](jnp.concatenate([s, -s])))
    assert np.all(np.abs(slopes) <= 5.0)


def test_gradient_of_a_chain_of_60_steep_nodes_is_finite():
    """Slope 1, weight 10 each: 10^60 is more than float32 holds."""
    nodes, edges = 64, 160
    place = np.arange(edges)
    in_chain = place < 58  # from the column through 57 hidden nodes to the first output
    chain = Graphs(
        activation=np.zeros(nodes, np.int16),  # sines
        source=np.where(in_chain & (place > 0), place + 3, 0).astype(np.int16),
        target=np.where(in_chain, place + 4, nodes).astype(np.int16),
        weight=np.where(in_chain, 10.0, 0.0).astype(np.float32),
        hidden=np.int32(57),
        refused=np.int32(0),
    )
    chains = jax.tree.map(lambda a: np.broadcast_to(a, (COUNT, *a.shape)), chain)
    grid = np.zeros((4, SIZE[0] * SIZE[1]), np.float32)
    grid[0] = 1e-30
    gradient = np.asarray(gradient_of(chains, grid, np.ones((COUNT, grid.shape[1], 3), "f4"))[1])
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 1e10
