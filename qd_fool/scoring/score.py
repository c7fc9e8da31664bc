"""Any number of 8-bit pictures scored over all devices, as evolution scores them."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, PyTree, UInt8

from qd_fool.devices.mesh import AXIS, make_mesh
from qd_fool.devices.processes import Team, gather_rows
from qd_fool.models.network import Network, is_on_host
from qd_fool.scoring.confidence import confidence_of
from qd_fool.scoring.host import host_score_function
from qd_fool.scoring.log_odds import evaluate

__all__ = ["ScoreFunction", "score_function", "score_images", "top_classes"]

ScoreFunction = Callable[[PyTree[Array], np.ndarray], np.ndarray]
"""`(params, images (n, height, width, channels) uint8) -> log-odds (n, classes)`."""


SCORE_AT_ONCE = 200
"""Pictures per call of a compiled score function, about. A larger number is cut into calls."""


def score_function(scorer: Network, *, crops: int, chunk: int) -> ScoreFunction:
    """Return a function that scores any number of 8-bit pictures over all devices.

    Each device scores whole chunks, as in evolution, so the scores are the same as in evolution.
    From 200 pictures on, all calls run one compiled program. A network on the host is called for a
    chunk at a time.

    Args:
      scorer: The network's facts.
      crops: 1 or 10.
      chunk: Number of pictures that go through the network at once.
    """
    if is_on_host(scorer):
        return host_score_function(scorer, crops=crops, chunk=chunk)
    mesh = make_mesh()
    split, everywhere = PartitionSpec(AXIS), PartitionSpec()
    score = jax.jit(
        jax.shard_map(
            lambda p, x: evaluate(scorer, p, x, crops=crops, chunk=chunk),
            mesh=mesh,
            in_specs=(everywhere, split),
            out_specs=split,
            check_vma=False,
        )
    )

    def call(params: PyTree[Array], images: np.ndarray) -> np.ndarray:
        # Cut the pictures into calls of one size: whole chunks for each device, and about
        # SCORE_AT_ONCE pictures. The last call is filled up with copies of the first picture.
        n = len(images)
        least = chunk * mesh.devices.size
        step = least * max(1, min(-(-n // least), SCORE_AT_ONCE // least))
        filled = np.concatenate([images, np.repeat(images[:1], -n % step, axis=0)])
        parts = [score(params, filled[i : i + step]) for i in range(0, len(filled), step)]
        return np.concatenate([np.asarray(part) for part in parts])[:n]

    return call


def shared_score_function(score: ScoreFunction, team: Team, *, chunk: int) -> ScoreFunction:
    """Return a score function whose pictures are shared by several processes, in whole chunks.

    All processes call it with the same pictures, and get all scores. A picture has the same place
    in its chunk as with one process, and so the same scores.

    Args:
      score: Score function of this process, from `score_function`.
      team: The processes.
      chunk: Number of pictures that go through the network at once.
    """
    if team.count == 1:
        return score

    def call(params: PyTree[Array], images: np.ndarray) -> np.ndarray:
        n = len(images)
        each = chunk * -(-n // (chunk * team.count))
        filled = np.concatenate([images, np.repeat(images[:1], each * team.count - n, axis=0)])
        start = each * team.index
        return gather_rows(team, score(params, filled[start : start + each]))[:n]

    return call


def score_images(
    scorer: Network, images: UInt8[np.ndarray, "n height width channels"], *, crops: int, chunk: int
) -> Float[np.ndarray, "n classes"]:
    """Return the log-odds of 8-bit pictures, scored as evolution scores them."""
    return score_function(scorer, crops=crops, chunk=chunk)(scorer.params, images)


def top_classes(
    log_odds: Float[np.ndarray, " classes"], names: tuple[str, ...], *, count: int
) -> list[dict[str, Any]]:
    """Return the most confident classes, best first: `class_index`, `label`, `confidence`."""
    order = np.argsort(-log_odds, kind="stable")[:count]
    confidence = confidence_of(log_odds)
    return [
        {"class_index": int(k), "label": names[k], "confidence": float(confidence[k])}
        for k in order
    ]
