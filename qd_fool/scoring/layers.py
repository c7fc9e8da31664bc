"""Log-odds together with the output of a named layer, from one forward pass.

Gradient ascent climbs logits and single units this way. Evolution needs `log_odds` only.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num, PyTree

from qd_fool.errors import UserError
from qd_fool.models.network import Network
from qd_fool.models.scorer import Scorer
from qd_fool.models.sides import sides_of
from qd_fool.scoring.crops import check_crops, map_crops
from qd_fool.scoring.log_odds import log_odds, log_odds_of, mean_confidence_log_odds


def log_odds_and_layer(
    scorer: Network,
    params: PyTree[Array],
    images: Num[Array, "n height width channels"],
    *,
    crops: int = 1,
    layer: str | None = None,
) -> tuple[Float[Array, "n classes"], Float[Array, "n *units"]]:
    """Return `log_odds`, and the output of a layer in the same forward pass.

    Args:
      scorer: The network's facts.
      params: The network's parameters.
      images: As in `log_odds`.
      crops: 1 or 10.
      layer: Name of a layer, from `layer_shapes`; None for the logits. Several networks have no
        common logits, and give their log-odds instead.

    Returns:
      Log-odds, and the layer's output, both averaged over crops.

    Raises:
      UserError: The network can't take these pictures, or has no such layer.
    """
    check_crops(scorer, images.shape[1:], crops=crops)

    # Several networks have layers of different shapes: there is no layer to listen to.
    if not isinstance(scorer, Scorer):
        if layer is not None:
            raise UserError(f"{scorer.name} has no layer {layer!r}: it is several networks")
        odds = log_odds(scorer, params, images, crops=crops)
        return odds, odds

    def score(
        cut: Float[Array, "n high wide channels"],
    ) -> tuple[Float[Array, "n classes"], Float[Array, "n *units"]]:
        if layer is None:
            logits = scorer.apply(params, scorer.preprocess(cut))
            return log_odds_of(scorer, logits), logits
        logits, outputs = _apply_and_listen(scorer, params, scorer.preprocess(cut))
        if layer not in outputs:
            known = ", ".join(outputs) or "none that have a name"
            raise UserError(f"{scorer.name} has no layer {layer!r}: its layers are {known}")
        return log_odds_of(scorer, logits), outputs[layer].astype(jnp.float32)

    each_crop, outputs = map_crops(score, images, size=scorer.input_size, crops=crops)
    mean_output = outputs[0] if crops == 1 else jnp.mean(outputs, axis=0)
    return mean_confidence_log_odds(each_crop), mean_output


def layer_shapes(scorer: Network) -> dict[str, tuple[int, ...]]:
    """Return the shape of each named layer's output for one picture, in order of the forward pass.

    Several networks have no layers in common, so the result is empty.
    """
    if not isinstance(scorer, Scorer):
        return {}
    high, wide = sides_of(scorer.input_size)
    cut = jax.ShapeDtypeStruct((1, high, wide, scorer.image_shape[2]), jnp.float32)
    shapes: dict[str, tuple[int, ...]] = {}

    def note_shapes(params: PyTree[Array], cut: Array) -> None:
        # The shapes are noted while JAX traces, in the order of the pass. If the traced function
        # returned a dictionary, JAX would sort it.
        outputs = _apply_and_listen(scorer, params, scorer.preprocess(cut))[1]
        shapes.update({name: tuple(a.shape[1:]) for name, a in outputs.items()})

    jax.eval_shape(note_shapes, scorer.params, cut)
    return shapes


def _apply_and_listen(
    scorer: Scorer, params: PyTree[Array], x: Float[Array, "n high wide channels"]
) -> tuple[Float[Array, "n classes"], dict[str, Array]]:
    """Return logits, and the output of each flax module within the network by its path."""
    outputs: dict[str, Array] = {}

    def listen(next_function: Any, args: Any, kwargs: Any, context: Any) -> Any:
        output = next_function(*args, **kwargs)
        path = "/".join(context.module.path)
        if path and context.method_name == "__call__" and isinstance(output, jax.Array):
            outputs[path] = output
        return output

    with nn.intercept_methods(listen):
        logits = scorer.apply(params, x)
    return logits, outputs
