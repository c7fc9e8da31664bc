"""Step rules that move a picture along its gradient, and regularisers that follow each step.

Step rules are `optax` transformations of one target, without a batch axis. `climb` maps them over
targets, so that each target has a step size and a memory of its own. Any optimiser of optax works.
As everywhere in optax, the gradient is the gradient of a loss, here minus the objective.

Regularisers are small pure functions on X, the picture relative to the mean.

Source: caffe/ascent/find_fooling_image.py of the original code (branch `ascent`), lines 201-251.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PyTree

from qd_fool.errors import UserError

Rule = Literal["adam", "progress", "constant"]


Regulariser = Callable[
    [
        Float[Array, "height width channels"],
        Float[Array, "height width channels"],
        Int[Array, ""],
    ],
    Float[Array, "height width channels"],
]
"""A function `(X, gradient of the objective before the step, iteration) -> X`."""

LEAST_BLUR = 0.3
"""Smallest standard deviation. The original refuses smaller ones: they "work very poorly"."""


def progress(
    *, early: float = 0.03, late: float = 0.1, max_lr: float = 1e12
) -> optax.GradientTransformationExtraArgs:
    """Return a rule whose step would raise the confidence p by a fixed amount in a linear network.

    lr = min(max_lr, min(early, late * (1 - p)) / |gradient|^2).

    Args:
      early: Confidence to gain per step.
      late: Largest share of the doubt, 1 - confidence, to gain per step.
      max_lr: Largest learning rate, for gradients that almost vanish.

    Returns:
      A transformation whose `update` takes `doubt`, 1 - p. Near 1, float32 could not compute it
      from p.
    """

    def init(params: PyTree[Array]) -> optax.EmptyState:
        del params
        return optax.EmptyState()

    def update(
        updates: PyTree[Array],
        state: Any,
        params: PyTree[Array] | None = None,
        *,
        doubt: Array,
        **_: Any,
    ) -> tuple[PyTree[Array], Any]:
        del params
        squared = sum(jnp.sum(g * g) for g in jax.tree.leaves(updates))
        lr = jnp.minimum(max_lr, jnp.minimum(early, late * doubt) / squared)
        return jax.tree.map(lambda g: -lr * g, updates), state

    return optax.GradientTransformationExtraArgs(init, update)


def step_rule(
    rule: str, *, lr: float, early: float, late: float, max_lr: float
) -> optax.GradientTransformationExtraArgs:
    """Return a rule by its name: adam, or one of the original's rules, progress and constant.

    Args:
      rule: Name of the rule. The original's default is progress.
      lr: Learning rate of adam and constant.
      early: Setting of progress.
      late: Setting of progress.
      max_lr: Setting of progress.

    Raises:
      UserError: There is no such rule.
    """
    if rule == "adam":
        return optax.with_extra_args_support(optax.adam(lr))
    if rule == "progress":
        return progress(early=early, late=late, max_lr=max_lr)
    if rule == "constant":
        return optax.with_extra_args_support(optax.sgd(lr))
    raise UserError(f"rule is {rule!r}: expected one of adam, progress, constant")


def chain(regularisers: Sequence[Regulariser]) -> Regulariser:
    """Return a regulariser that applies several, one after another."""

    def apply(x: Array, gradient: Array, iteration: Array) -> Array:
        for regulariser in regularisers:
            x = regulariser(x, gradient, iteration)
        return x

    return apply


def decay(rate: float) -> Regulariser:
    """Return a regulariser X * (1 - rate), the multiplicative form of an L2 penalty."""
    return lambda x, gradient, iteration: x * jnp.float32(1 - rate)


def blur(sigma: float, *, every: int = 1) -> Regulariser:
    """Return a Gaussian blur of each channel, applied at iterations that `every` divides."""

    def apply(x: Array, gradient: Array, iteration: Array) -> Array:
        del gradient
        return jnp.where(iteration % every == 0, gaussian(x, sigma=sigma), x)

    return apply


def gaussian(
    x: Float[Array, "height width channels"], *, sigma: float, truncate: float = 4.0
) -> Float[Array, "height width channels"]:
    """Blur each channel as `scipy.ndimage.gaussian_filter` does, mirrored at the border."""
    radius = int(truncate * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (0, 1):
        border = [(radius, radius) if a == axis else (0, 0) for a in range(3)]
        padded, side = jnp.pad(x, border, mode="symmetric"), x.shape[axis]
        x = sum(
            (
                jax.lax.slice_in_dim(padded, i, i + side, axis=axis) * weight
                for i, weight in enumerate(weights)
            ),
            start=jnp.zeros_like(x),
        )
    return x


def zero_small_values(percentile: float) -> Regulariser:
    """Return a regulariser that zeroes values whose size is below a percentile of all sizes."""

    def apply(x: Array, gradient: Array, iteration: Array) -> Array:
        del gradient, iteration
        return jnp.where(_below(jnp.abs(x), percentile), 0.0, x)

    return apply


def zero_small_norms(percentile: float) -> Regulariser:
    """Return a regulariser that zeroes pixels whose norm is below a percentile of all norms."""

    def apply(x: Array, gradient: Array, iteration: Array) -> Array:
        del gradient, iteration
        norms = jnp.sqrt(jnp.sum(x * x, axis=-1, keepdims=True))
        return jnp.where(_below(norms, percentile), 0.0, x)

    return apply


def zero_low_benefit(percentile: float, *, absolute: bool = False) -> Regulariser:
    """Return a regulariser that zeroes pixels of low benefit.

    The benefit of a pixel is -gradient * X, summed over channels. If the objective were linear, it
    would gain this much when the pixel becomes 0. The original zeroes the pixels of the lowest
    benefit, not of the highest.

    Args:
      percentile: Percentile of all benefits below which a pixel becomes 0.
      absolute: Whether benefits are compared by absolute value.
    """

    def apply(x: Array, gradient: Array, iteration: Array) -> Array:
        del iteration
        benefit = jnp.sum(-gradient * x, axis=-1, keepdims=True)
        benefit = jnp.abs(benefit) if absolute else benefit
        return jnp.where(_below(benefit, percentile), 0.0, x)

    return apply


def _below(values: Float[Array, "*shape"], percentile: float) -> Bool[Array, "*shape"]:
    return values < jnp.percentile(values, percentile)
