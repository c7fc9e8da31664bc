"""Variation operators on real genes in the unit range, shared by the encodings.

Source: Deb & Agrawal (1995), simulated binary crossover; Deb & Goyal (1996), polynomial mutation;
in the forms of the original code, sferes/exp/images/gen/evo_float_image.hpp.
"""

import math

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, UInt32

from qd_fool.encodings.randomness import as_threshold

HALVE_EVERY = 1000
"""Generations after which the direct encoding's mutation rate halves (paper, section 2.2)."""


def polynomial_step(
    magnitude: Float[Array, "..."], positive: Array, *, eta: float = 15.0
) -> Float[Array, "..."]:
    """The step of polynomial mutation, in units of the gene's whole range, within (-1, 1).

    With u uniform in [0, 1), the original's two branches, (2u)^a - 1 below one half and
    1 - (2(1-u))^a above, a = 1 / (eta + 1), are a fair sign and a step 1 - v^a with v uniform.
    Deb's basic form: it does not look at the bounds, the caller clips
    (evo_float_image.hpp:128-141).

    Args:
      magnitude: v, uniform in (0, 1).
      positive: a fair coin, the sign.
      eta: distribution index; E|step| = 1 / (eta + 2).
    """
    roots = math.log2(eta + 1.0)
    if roots.is_integer():
        # Square roots vectorise on every backend; a general power is several times slower.
        root = magnitude
        for _ in range(int(roots)):
            root = jnp.sqrt(root)
    else:
        root = magnitude ** (1.0 / (eta + 1.0))
    step = 1.0 - root
    return jnp.where(positive, step, -step)


def mutation_threshold(rate: float, generation: Array) -> UInt32[Array, ""]:
    """The mutation rate of a generation as a threshold for 32-bit words: rate * 2^32, halved.

    The paper's schedule: `rate`, halved every 1000 generations (section 2.2; the original code
    keeps it constant). Halving is a shift, hence exact.
    """
    halvings = jnp.minimum(generation // HALVE_EVERY, 31).astype(jnp.uint32)
    return jnp.uint32(as_threshold(rate)) >> halvings


def mutate(
    genes: Float[Array, "batch genes"],
    bits: UInt32[Array, "batch genes"],
    threshold: UInt32[Array, ""],
    *,
    eta: float = 15.0,
    low: float = 0.0,
    high: float = 1.0,
) -> Float[Array, "batch genes"]:
    """Polynomial mutation of each gene with probability threshold / 2^32, clipped to its range.

    One random word a gene does the work of three draws: given that it lies below the threshold it
    is uniform below it, so its lowest bit is a fair sign and the rest, scaled up, the magnitude.
    That leaves threshold / 2 sizes of step: 214 million at a rate of 0.1, a few hundred once the
    rate has been halved twenty times.

    Args:
      genes: in [low, high].
      bits: uniform words.
      threshold: from `mutation_threshold`.
      eta: distribution index.
      low: lower bound; a step is in units of the distance between the bounds.
      high: upper bound.
    """
    chex.assert_equal_shape([genes, bits])
    sizes = jnp.maximum(threshold >> 1, 1).astype(jnp.float32)
    magnitude = ((bits >> 1).astype(jnp.float32) + 0.5) / sizes
    step = polynomial_step(jnp.minimum(magnitude, 1.0), (bits & 1) == 1, eta=eta)
    mutated = jnp.clip(genes + (high - low) * step, low, high)
    return jnp.where(bits < threshold, mutated, genes)


def sbx(
    keys: Key[Array, " batch"],
    first: Float[Array, "batch genes"],
    second: Float[Array, "batch genes"],
    *,
    eta: float = 10.0,
) -> Float[Array, "batch genes"]:
    """One child of a bounded simulated binary crossover; a gene's two values are equally likely.

    Where the parents agree the child has their gene: the original leaves 0.5 there, a bug
    (evo_float_image.hpp:195-237, gen/float.hpp:61-63). As there, one draw serves both sides.

    Args:
      keys: one a child.
      first: parents, in the unit range.
      second: likewise.
      eta: distribution index.
    """
    chex.assert_equal_shape([first, second])
    shape = first.shape[1:]

    def draw(key: Array) -> tuple[Array, Array]:
        spread, coin = jax.random.split(key)
        low_or_high = jax.random.bernoulli(coin, jnp.float32(0.5), shape)
        return jax.random.uniform(spread, shape, jnp.float32), low_or_high

    r, take_low = jax.vmap(draw)(keys)
    low, high = jnp.minimum(first, second), jnp.maximum(first, second)
    gap = high - low
    agree = gap <= jnp.finfo(jnp.float32).eps
    safe_gap = jnp.where(agree, 1.0, gap)
    power = 1.0 / (eta + 1.0)

    def spread_factor(room: Array) -> Array:
        """How far the child lies from the parents' middle; `room` is what the bound leaves."""
        alpha = 2.0 - (1.0 + 2.0 * room / safe_gap) ** -(eta + 1.0)
        inside = r * alpha <= 1.0
        return jnp.where(
            inside,
            (r * alpha) ** power,
            (1.0 / jnp.where(inside, 1.0, 2.0 - r * alpha)) ** power,
        )

    below = 0.5 * (low + high - spread_factor(low) * gap)
    above = 0.5 * (low + high + spread_factor(1.0 - high) * gap)
    child = jnp.clip(jnp.where(take_low, below, above), 0.0, 1.0)
    return jnp.where(agree, first, child)
