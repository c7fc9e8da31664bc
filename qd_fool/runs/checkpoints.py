"""Checkpoints of a run: Orbax writes them; a digest tells whether one is whole."""

import dataclasses
import hashlib
import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jaxtyping import PyTree

KEEP = 2
"""Checkpoints kept: the newest, and one to fall back to."""


_log = logging.getLogger(__name__)


def open_checkpoints(directory: Path) -> ocp.CheckpointManager:
    """The checkpoints below `directory`, which is made where it is missing."""
    options = ocp.CheckpointManagerOptions(
        max_to_keep=KEEP, step_prefix="generation", create=True, cleanup_tmp_directories=True
    )
    return ocp.CheckpointManager(
        directory.absolute(), options=options, item_names=("state", "meta", "arrays")
    )


@dataclasses.dataclass(frozen=True)
class Restored:
    """A checkpoint.

    Attributes:
      state: pytree of arrays, on the host.
      meta: small JSON values.
      arrays: named arrays that were saved with it; empty where there were none.
      problems: a sentence for each newer checkpoint that was damaged.
    """

    state: PyTree
    meta: dict[str, Any]
    arrays: dict[str, np.ndarray]
    problems: list[str]


def digest(tree: PyTree) -> str:
    """SHA-256 over the leaves of a pytree: their types, shapes and bytes, in order."""
    sha = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        array = np.asarray(leaf)
        sha.update(f"{array.dtype}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def save_checkpoint(
    manager: ocp.CheckpointManager,
    state: PyTree,
    *,
    step: int,
    meta: dict[str, Any],
    arrays: dict[str, np.ndarray] | None = None,
) -> None:
    """Save a state in the background; atomic.

    Args:
      manager: from `open_checkpoints`.
      state: pytree of arrays; copied to the host before this returns, so it may be donated.
      step: the generation it stands after.
      meta: small JSON values to keep with it.
      arrays: named arrays of any size to keep with it; not to be changed in place afterwards.
    """
    # A copy: on CPU np.asarray may look into a buffer that the next segment is about to reuse.
    copy = jax.tree.map(lambda a: np.array(a), jax.device_get(state))
    meta = {**meta, "sha256": digest(copy)}
    items = {"state": ocp.args.StandardSave(copy)}
    if arrays:
        # What the state's shapes don't tell must be known to read them back.
        shapes = {name: [str(a.dtype), list(a.shape)] for name, a in arrays.items()}
        meta |= {"arrays": shapes, "arrays_sha256": digest(arrays)}
        items["arrays"] = ocp.args.StandardSave(arrays)
    manager.save(step, args=ocp.args.Composite(meta=ocp.args.JsonSave(meta), **items))


def restore_newest(manager: ocp.CheckpointManager, template: PyTree) -> Restored | None:
    """The newest whole checkpoint.

    Args:
      manager: from `open_checkpoints`.
      template: a state with the right structure, shapes and dtypes.

    Returns:
      None if there are no checkpoints, or no whole one: then nothing is known that could be gone on
      from.
    """
    host = jax.tree.map(lambda a: np.array(a), jax.device_get(template))
    problems: list[str] = []
    for step in sorted(manager.all_steps(), reverse=True):
        try:
            restored = manager.restore(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardRestore(host), meta=ocp.args.JsonRestore()
                ),
            )
            arrays = _restore_arrays(manager, step, restored.meta)
            whole = digest(restored.state) == restored.meta["sha256"]
            whole &= not arrays or digest(arrays) == restored.meta["arrays_sha256"]
            problem = "its digest does not match"
        except Exception as error:  # whatever a cut file makes orbax, tensorstore or json raise
            _log.debug("checkpoint %d", step, exc_info=error)
            whole, problem = False, f"it cannot be read ({type(error).__name__})"
        if whole:
            return Restored(restored.state, restored.meta, arrays, problems)
        problems.append(f"checkpoint of generation {step} is damaged: {problem}")
    if problems:
        _log.warning("no whole checkpoint: %s", "; ".join(problems))
    return None


def _restore_arrays(
    manager: ocp.CheckpointManager, step: int, meta: dict[str, Any]
) -> dict[str, np.ndarray]:
    shapes = meta.get("arrays")
    if not shapes:
        return {}
    like = {name: np.zeros(shape, dtype) for name, (dtype, shape) in shapes.items()}
    args = ocp.args.Composite(arrays=ocp.args.StandardRestore(like))
    return dict(manager.restore(step, args=args).arrays)
