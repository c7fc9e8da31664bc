"""Processes, on one machine or many, that compute one run together.

Every process holds the whole state and computes its share of each batch. Process 0 leads: it alone
writes files and decides what comes next. JAX's own distributed runtime connects the processes.
"""

import atexit
import contextlib
import dataclasses
import itertools
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import PyTree

from qd_fool.devices.abort import end_instead_of_abort
from qd_fool.devices.mesh import AXIS, split
from qd_fool.errors import UserError

HEARTBEAT_SECONDS = 30
"""Seconds of silence after which a process counts as dead."""

LOST = 2
"""Exit code of a process that has lost another one."""

LOST_WORDS = "another process of the run has ended, or does not answer"

JOIN_SECONDS = 120
"""Seconds that a process waits for the others at the start."""


@dataclasses.dataclass(frozen=True)
class Team:
    """The processes of a run, as one of them sees them.

    Attributes:
      index: Number of this process, from 0.
      count: Number of processes.
      stays: Whether the processes have more to do together after the run at hand.
    """

    index: int = 0
    count: int = 1
    stays: bool = False

    @property
    def leads(self) -> bool:
        """Whether this process writes the run directory."""
        return self.index == 0


ALONE = Team()
"""A run in one process."""


def join_team(
    coordinator: str | None = None, *, index: int | None = None, count: int | None = None
) -> Team:
    """Connect this process with the others, before JAX is used.

    Args:
      coordinator: `HOST:PORT` at which process 0 listens. None, with all else: where JAX finds the
        processes by itself (SLURM, Open MPI, Kubernetes, a Cloud TPU).
      index: Number of this process, from 0.
      count: Number of processes.

    Raises:
      UserError: The processes don't find each other, or JAX has been used already.
    """
    # JAX's own handler of SIGTERM would only note it. The command's handlers save the run.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes=count,
            process_id=index,
            initialization_timeout=JOIN_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        where = f"at {coordinator}" if coordinator else "through SLURM, Open MPI, Kubernetes or TPU"
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"the processes did not find each other {where}: {reason}") from error
    end_instead_of_abort(LOST, LOST_WORDS)
    team = Team(jax.process_index(), jax.process_count())
    tell_all(team, [0])  # the first meeting, while none has work of its own
    return team


def leave_team(team: Team) -> None:
    """Disconnect from the other processes, which do the same, unless they stay together.

    This process's devices still work.
    """
    if team.count > 1 and not team.stays:
        jax.distributed.shutdown()


def tell_all(team: Team, numbers: Sequence[int]) -> np.ndarray:
    """Give numbers to all processes, and get theirs. All processes must call this.

    Args:
      team: The processes.
      numbers: Numbers of this process, equally many in each.

    Returns:
      `(processes, n)`, int32.

    Raises:
      UserError: Another process has ended.
    """
    row = np.asarray(numbers, np.int32)
    if team.count == 1:
        return row[None]
    with lost_process():
        return np.asarray(multihost_utils.process_allgather(row, tiled=False))


def decided(team: Team, number: int) -> int:
    """Return process 0's number in all processes, which all call this.

    Args:
      team: The processes.
      number: Number of this process.

    Raises:
      UserError: Another process has ended.
    """
    return int(tell_all(team, [number])[0, 0])


def agree(
    team: Team,
    facts: Mapping[str, object],
    *,
    mesh: Mesh | None = None,
    problem: str | None = None,
) -> None:
    """Check that all processes have the same facts, and that none has a problem.

    Args:
      team: The processes.
      facts: Plain values by name.
      mesh: Devices that will compute together, which meet here for the first time.
      problem: Sentence, if this process cannot take part.

    Raises:
      UserError: A fact differs, or a process has a problem.
    """
    facts_here = (
        {"problem": problem} if problem else {name: json.dumps(v) for name, v in facts.items()}
    )
    everyone = [json.loads(text) for text in _texts(team, json.dumps(facts_here))]
    for index, other in enumerate(everyone):
        if "problem" in other:
            whose = "" if index == team.index else f"process {index} cannot take part: "
            raise UserError(f"{whose}{other['problem']}")
    first = everyone[0]
    for index, other in enumerate(everyone):
        for name in sorted(first.keys() | other.keys()):
            if other.get(name) != first.get(name):
                raise UserError(
                    f"the processes of the run differ: {name} is {first.get(name, 'missing')} in "
                    f"process 0 and {other.get(name, 'missing')} in process {index}"
                )
    if mesh is not None and mesh.is_multi_process:
        _meet(mesh)


def _meet(mesh: Mesh) -> None:
    """Let devices exchange a number.

    At their first meeting, a CPU's devices wait for each other for 30 seconds at most, and for 30
    minutes later on. So the first one must come before each process compiles in its own time.
    """

    def everyone(x: jax.Array) -> jax.Array:
        return jax.lax.all_gather(x, AXIS, tiled=True)

    whole, part = PartitionSpec(), PartitionSpec(AXIS)
    program = jax.jit(
        jax.shard_map(everyone, mesh=mesh, in_specs=part, out_specs=whole, check_vma=False)
    )
    with lost_process():
        jax.block_until_ready(program(split(np.arange(mesh.devices.size, dtype=np.int32), mesh)))


def _texts(team: Team, text: str) -> list[str]:
    """The text of each process."""
    data = text.encode()
    lengths = tell_all(team, [len(data)])[:, 0]
    padded = np.frombuffer(data.ljust(int(lengths.max()), b"\0"), np.uint8)
    if team.count == 1:
        return [text]
    with lost_process():
        rows = np.asarray(multihost_utils.process_allgather(padded, tiled=False))
    return [bytes(row[:n]).decode() for row, n in zip(rows, lengths, strict=True)]


def from_leader(team: Team, tree: PyTree) -> PyTree:
    """Return process 0's tree of arrays in all processes, which all call this.

    Args:
      team: The processes.
      tree: Arrays on the host. Those of other processes only give shapes and types.

    Raises:
      UserError: Another process has ended.
    """
    if team.count == 1:
        return tree
    # As bytes, in one message: a collective would turn a type that JAX does not hold, such as
    # int64, into another, and several at once may cross each other on their way.
    leaves, structure = jax.tree.flatten(tree)
    arrays = [np.asarray(leaf) for leaf in leaves]
    data = np.frombuffer(b"".join(a.tobytes() for a in arrays), np.uint8)
    with lost_process():
        sent = np.asarray(multihost_utils.broadcast_one_to_all(data)).tobytes()
    ends = [0, *itertools.accumulate(a.nbytes for a in arrays)]
    back = [
        np.frombuffer(sent[start:end], a.dtype).reshape(a.shape).copy()
        for a, (start, end) in zip(arrays, itertools.pairwise(ends), strict=True)
    ]
    return jax.tree.unflatten(structure, back)


def gather(tree: PyTree) -> PyTree[np.ndarray]:
    """Return arrays whole, on the host. Where other processes hold parts, all call this.

    Args:
      tree: Arrays that the devices of one mesh share.

    Raises:
      UserError: Another process has ended.
    """
    arrays = jax.tree.leaves(tree)
    if all(a.is_fully_addressable for a in arrays if isinstance(a, jax.Array)):
        return jax.device_get(tree)
    # One after another, because several at once may cross each other on their way.
    with lost_process():
        return jax.tree.map(lambda a: multihost_utils.process_allgather(a, tiled=True), tree)


def gather_rows(team: Team, rows: np.ndarray) -> np.ndarray:
    """Return the rows of all processes, in order of processes, which all call this.

    Args:
      team: The processes.
      rows: Rows of this process, equally many in each.

    Raises:
      UserError: Another process has ended.
    """
    if team.count == 1:
        return rows
    with lost_process():
        return np.asarray(multihost_utils.process_allgather(rows, tiled=True))


class LostProcessError(UserError):
    """Another process of the run has ended: nothing more can be computed together."""


@contextlib.contextmanager
def lost_process() -> Iterator[None]:
    """Turn the error of a collective in the block into a sentence.

    Raises:
      UserError: A collective failed.
    """
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:  # JAX raises either
        if "RESOURCE_EXHAUSTED" in str(error):
            raise
        leave_at_exit(LOST)
        reason = str(error).splitlines()[0][:200]
        raise LostProcessError(f"{LOST_WORDS} ({reason})") from error


def leave_at_exit(code: int) -> None:
    """End this process without JAX's own end, which waits for the dead and then aborts.

    Args:
      code: Exit code of this process.
    """

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    atexit.register(leave)  # runs before what was registered earlier
