"""Checkpoints of a run: Orbax writes them, and a digest shows whether a checkpoint is whole."""

import dataclasses
import hashlib
import logging
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jaxtyping import PyTree

from qd_fool.files import writing

UNFINISHED = ".orbax-checkpoint-tmp"
"""Part of the name of a checkpoint that is not whole yet."""

KEEP = 2
"""Number of checkpoints to keep: the newest, and one more if the newest is damaged."""

DELETIONS, PAUSE = 10, 0.1
"""Attempts to delete what is not whole, and seconds between them."""

_log = logging.getLogger(__name__)


@contextmanager
def open_checkpoints(
    directory: Path, *, read_only: bool = False
) -> Iterator[ocp.CheckpointManager]:
    """Open the checkpoints below a directory while the block runs.

    If the block raises, or the disk is full, checkpoints that are not whole are deleted.

    Args:
      directory: Directory of the checkpoints. It is made if it is missing, unless read only.
      read_only: Whether to leave the directory as it is. A run may be writing there meanwhile.

    Raises:
      DiskError: The disk is full.
    """
    # If there are several processes, process 0 alone writes: the state is the same in each, and the
    # others need not see the directory.
    alone = {jax.process_index()} if jax.process_count() > 1 else None
    if not read_only:
        directory.mkdir(parents=True, exist_ok=True)
    options = ocp.CheckpointManagerOptions(
        max_to_keep=None if read_only else KEEP,
        step_prefix="generation",
        create=False,
        cleanup_tmp_directories=not read_only,
        read_only=read_only,
        multiprocessing_options=ocp.options.MultiprocessingOptions(
            active_processes=alone, barrier_sync_key_prefix="qd_fool"
        ),
    )
    with writing(directory):
        manager = ocp.CheckpointManager(
            directory.absolute(), options=options, item_names=("state", "meta", "arrays")
        )
    # The hook stays: what goes on in the background may fail until the process ends.
    if not isinstance(sys.unraisablehook, _LateErrors):
        sys.unraisablehook = _LateErrors(sys.unraisablehook)
    try:
        yield manager
        with writing(directory):
            manager.close()
    except BaseException:
        _close_quietly(manager)
        if not read_only:
            _delete_unfinished(directory)
        raise


@dataclasses.dataclass(frozen=True)
class _LateErrors:
    """Hook for errors that nothing can catch. It logs one kind of them for developers.

    If one file of a checkpoint cannot be written or read, Orbax ends its event loop. The other
    files are done later and find no loop to report to.

    Attributes:
      before: The hook before this one. It gets all other errors.
    """

    before: Callable[["sys.UnraisableHookArgs"], Any]

    def __call__(self, unraisable: "sys.UnraisableHookArgs") -> None:
        error = unraisable.exc_value
        late = isinstance(error, RuntimeError) and str(error) == "Event loop is closed"
        if late and unraisable.object is None:
            _log.debug("a file of a checkpoint that had failed was done later", exc_info=error)
        else:
            self.before(unraisable)


def _delete_unfinished(directory: Path) -> None:
    """Delete checkpoints that are not whole. Writes in the background may go on for a moment."""
    for _ in range(DELETIONS):
        unfinished = list(directory.glob(f"*{UNFINISHED}*"))
        for path in unfinished:
            shutil.rmtree(path, ignore_errors=True)
        if not unfinished:
            return
        time.sleep(PAUSE)


def _close_quietly(manager: ocp.CheckpointManager) -> None:
    """Close after an error. A save in the background may have failed for the same reason."""
    try:
        manager.close()
    except Exception as error:
        _log.debug("closing the checkpoints", exc_info=error)


@dataclasses.dataclass(frozen=True)
class Restored:
    """A checkpoint.

    Attributes:
      state: Pytree of arrays, on the host.
      meta: Small JSON values.
      arrays: Named arrays that were saved with the state; empty if there were none.
      problems: One sentence per newer checkpoint that was damaged.
    """

    state: PyTree
    meta: dict[str, Any]
    arrays: dict[str, np.ndarray]
    problems: list[str]


def digest(tree: PyTree) -> str:
    """Return the SHA-256 of the leaves of a pytree: types, shapes and bytes, in order."""
    sha = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        array = np.asarray(leaf)
        sha.update(f"{array.dtype}{array.shape}".encode())
        # The bytes as they lie in memory, not a copy: genomes may take gigabytes.
        sha.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return sha.hexdigest()


def save_checkpoint(
    manager: ocp.CheckpointManager,
    state: PyTree,
    *,
    step: int,
    meta: dict[str, Any],
    arrays: dict[str, np.ndarray] | None = None,
) -> None:
    """Save a state in the background, whole or not at all.

    Args:
      manager: Manager from `open_checkpoints`.
      state: Pytree of arrays. It is copied before this function returns, so it may be donated.
      step: Last generation that the state has run.
      meta: Small JSON values to save with the state.
      arrays: Named arrays of any size to save with the state. They must not change afterwards.

    Raises:
      DiskError: The disk is full. The save before may have failed for that reason, too.
    """
    # A true copy: on CPU np.asarray may return a view of memory that the next segment reuses.
    copy = jax.tree.map(lambda a: np.array(a), jax.device_get(state))
    meta = {**meta, "sha256": digest(copy)}
    items = {"state": ocp.args.StandardSave(copy)}
    if arrays:
        # Shapes and types are needed to read the arrays back, and the state does not show them.
        shapes = {name: [str(a.dtype), list(a.shape)] for name, a in arrays.items()}
        meta |= {"arrays": shapes, "arrays_sha256": digest(arrays)}
        items["arrays"] = ocp.args.StandardSave(arrays)
    with writing(Path(manager.directory)):
        manager.save(step, args=ocp.args.Composite(meta=ocp.args.JsonSave(meta), **items))


def finish_saving(manager: ocp.CheckpointManager) -> None:
    """Wait until all checkpoints are whole on disk.

    Raises:
      DiskError: The disk is full.
    """
    with writing(Path(manager.directory)):
        manager.wait_until_finished()


def restore_newest(manager: ocp.CheckpointManager, template: PyTree) -> Restored | None:
    """Read the newest checkpoint that is whole.

    Args:
      manager: Manager from `open_checkpoints`.
      template: State with the right structure, shapes and dtypes.

    Returns:
      The checkpoint; None if there is none, or none is whole.
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
            problem = "the digest does not match"
        except Exception as error:  # orbax, tensorstore and json raise many types for a cut file
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
