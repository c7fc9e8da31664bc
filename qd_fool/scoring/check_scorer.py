"""A check of a network's facts and functions by shapes alone, before anything is compiled.

A user's network may give a tuple, too few logits or whole numbers. Without the check, such a
network fails deep within a compiled program, or worse, counts for another one.
"""

import weakref
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from qd_fool.errors import UserError
from qd_fool.models.scorer import Scorer
from qd_fool.models.sides import sides_of

PICTURES = 2
"""Pictures of the check: more than one, so that their axis is not mistaken for another."""

_checked: "weakref.WeakSet[Scorer]" = weakref.WeakSet()


def check_scorer(scorer: Scorer) -> None:
    """Check that a network takes its pictures, and gives one logit per class name.

    Nothing is computed: JAX follows the shapes. A network is checked once.

    Args:
      scorer: Network that runs in JAX.

    Raises:
      UserError: It does not. The sentence names the field, what was found and what was expected.
    """
    if scorer in _checked:
        return
    _check_facts(scorer)
    (high, wide), channels = sides_of(scorer.input_size), scorer.image_shape[2]
    crops = jax.ShapeDtypeStruct((PICTURES, high, wide, channels), jnp.float32)
    prepared = _followed(scorer, "preprocess", scorer.preprocess, crops)
    found = _followed(scorer, "apply", scorer.apply, scorer.params, prepared)
    _check_logits(scorer, found)
    _checked.add(scorer)


def _check_facts(scorer: Scorer) -> None:
    shape, names = scorer.image_shape, scorer.class_names
    whole = len(shape) == 3 and all(isinstance(side, int) and side > 0 for side in shape)
    if not whole or shape[2] not in (1, 3):
        raise UserError(
            f"{scorer.name}: image_shape is {shape}, expected (height, width, channels) with 1 "
            "channel (gray) or 3 (RGB)"
        )
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{scorer.name}: class_names is no tuple of texts")
    if len(names) < 2 and not scorer.multilabel:
        raise UserError(f"{scorer.name}: class_names has {len(names)}, expected 2 or more")


def _followed(
    scorer: Scorer, field: str, function: Callable[..., Any], *given: Any
) -> PyTree[jax.ShapeDtypeStruct]:
    """The shapes that a function of a network gives. Errors become one sentence."""
    try:
        return jax.eval_shape(function, *given)
    except UserError:
        raise
    except Exception as error:  # whatever a user's function raises
        lines = str(error).strip().splitlines() or [""]
        raise UserError(
            f"{scorer.name}: {field} fails for {_words(given[-1])} "
            f"({type(error).__name__}: {lines[0][:200]})"
        ) from error


def _check_logits(scorer: Scorer, found: Any) -> None:
    classes = len(scorer.class_names)
    expected = f"expected logits (n, {classes}), one per name in class_names"
    if not isinstance(found, jax.ShapeDtypeStruct):
        raise UserError(f"{scorer.name}: apply gives {_words(found)}, {expected}")
    shape = ", ".join(map(str, ("n" if found.shape[:1] == (PICTURES,) else "", *found.shape[1:])))
    if found.shape[:1] != (PICTURES,):
        raise UserError(
            f"{scorer.name}: apply gives {_words(found)} for {PICTURES} pictures, {expected}"
        )
    if found.shape != (PICTURES, classes):
        raise UserError(f"{scorer.name}: apply gives ({shape}), {expected}")
    if not jnp.issubdtype(found.dtype, jnp.floating):
        raise UserError(f"{scorer.name}: apply gives {found.dtype}, expected logits of floats")


def _words(shapes: PyTree[jax.ShapeDtypeStruct]) -> str:
    """Shapes in words, such as `a tuple of 2` or `float32 (2, 28, 28, 1)`."""
    if isinstance(shapes, jax.ShapeDtypeStruct):
        return f"{shapes.dtype} {shapes.shape}"
    size = f" of {len(shapes)}" if hasattr(shapes, "__len__") else ""
    return f"a {type(shapes).__name__}{size}"
