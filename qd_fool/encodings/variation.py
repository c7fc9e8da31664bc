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
    """Return the step of polynomial mutation, in units of the gene's range, within (-1, 1).

    The original draws u uniformly in [0, 1) and has two branches: (2u)^a - 1 below one half, and
    1 - (2(1-u))^a above, where a = 1 / (eta + 1). That is a fair sign and a step 1 - v^a with
    uniform v. It is Deb's basic form: the step ignores the bounds, and the caller clips
    (evo_float_image.hpp:128-141).

    Args:
      magnitude: Magnitude v, uniform in (0, 1).
      positive: Sign, a fair coin.
      eta: Distribution index; E|step| = 1 / (eta + 2).
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
    """Return the mutation rate of a generation as a threshold for 32-bit words.

    The threshold is rate * 2^32, halved every 1000 generations: the paper's schedule (section 2.2;
    the original code keeps the rate constant). Halving is a shift, hence exact.

    Args:
      rate: Mutation rate of the first generations.
      generation: Number of the generation.
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
    """Mutate each gene by a polynomial step with probability threshold / 2^32, and clip it.

    Args:
      genes: Genes in [low, high].
      bits: Uniform words, one per gene.
      threshold: Threshold from `mutation_threshold`.
      eta: Distribution index.
      low: Lower bound. The unit of a step is the distance between the bounds.
      high: Upper bound.
    """
    chex.assert_equal_shape([genes, bits])

    # One random word per gene does the work of three draws. A gene mutates if its word lies below
    # the threshold. Such a word is uniform below the threshold, so its lowest bit is a fair sign,
    # and the other bits, scaled up, are the magnitude. There are threshold / 2 magnitudes: 214
    # million at a rate of 0.1, and a few hundred after the rate has been halved twenty times.
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
    """Return one child per pair of parents, by bounded simulated binary crossover.

    The crossover has two possible values per gene, which are equally likely. Where the parents
    agree, the child has their gene. (The original has a bug and leaves 0.5 there:
    evo_float_image.hpp:195-237, gen/float.hpp:61-63.) As in the original, both values share one
    random draw.

    Args:
      keys: One random key per child.
      first: First parents, with genes in [0, 1].
      second: Second parents, with genes in [0, 1].
      eta: Distribution index.
    """
    chex.assert_equal_shape([first, second])

    # Draw, for each gene, how far the child spreads, and on which side of the middle it lies.
    shape = first.shape[1:]

    def draw(key: Array) -> tuple[Array, Array]:
        spread, coin = jax.random.split(key)
        low_or_high = jax.random.bernoulli(coin, jnp.float32(0.5), shape)
        return jax.random.uniform(spread, shape, jnp.float32), low_or_high

    r, take_low = jax.vmap(draw)(keys)

    # The distance between the parents; where it is 0, a 1 avoids a division by 0.
    low, high = jnp.minimum(first, second), jnp.maximum(first, second)
    gap = high - low
    agree = gap <= jnp.finfo(jnp.float32).eps
    safe_gap = jnp.where(agree, 1.0, gap)
    power = 1.0 / (eta + 1.0)

    def spread_factor(room: Array) -> Array:
        """Return the child's distance from the middle, relative to the parents' half distance.

        `room` is the distance from the nearer parent to the bound on this side.
        """
        alpha = 2.0 - (1.0 + 2.0 * room / safe_gap) ** -(eta + 1.0)
        inside = r * alpha <= 1.0
        return jnp.where(
            inside,
            (r * alpha) ** power,
            (1.0 / jnp.where(inside, 1.0, 2.0 - r * alpha)) ** power,
        )

    # The two values, one on each side of the middle.
    below = 0.5 * (low + high - spread_factor(low) * gap)
    above = 0.5 * (low + high + spread_factor(1.0 - high) * gap)
    child = jnp.clip(jnp.where(take_low, below, above), 0.0, 1.0)
    return jnp.where(agree, first, child)
