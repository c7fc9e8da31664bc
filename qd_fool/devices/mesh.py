"""Devices side by side: the mesh that batches are split over, and arrays on its devices."""

import itertools

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from qd_fool.errors import UserError

__all__ = ["make_mesh"]

AXIS = "batch"


def make_mesh(devices: int | None = None, *, together: bool = False) -> Mesh:
    """Return a mesh over the first `devices` local devices; all of them by default.

    Args:
      devices: Number of devices of this process.
      together: Whether the mesh also holds as many devices of each other process, in order of
        processes.

    Raises:
      UserError: There are fewer devices.
    """
    local = jax.local_devices()
    count = len(local) if devices is None else devices
    if not 1 <= count <= len(local):
        raise UserError(f"devices is {count}: this process has {len(local)} ({local[0].platform})")
    chosen = local[:count]
    if together:
        each = [jax.local_devices(process_index=i)[:count] for i in range(jax.process_count())]
        chosen = list(itertools.chain.from_iterable(each))
    return Mesh(np.array(chosen), (AXIS,), axis_types=(AxisType.Auto,))


def replicate(tree: PyTree, mesh: Mesh) -> PyTree[Array]:
    """Copy a tree to each device of the mesh. The result owns the copies and may be donated.

    Where the mesh has devices of other processes, all processes copy an equal tree.
    """
    return _put(jax.tree.map(lambda a: np.array(a), tree), mesh, PartitionSpec())


def split(tree: PyTree, mesh: Mesh, *, axis: int = 0) -> PyTree[Array]:
    """Split an axis of arrays over the devices of the mesh, which divide its length.

    Where the mesh has devices of other processes, all processes split an equal tree.
    """
    spec = PartitionSpec(*[None] * axis, AXIS)
    return _put(jax.tree.map(lambda a: np.asarray(a), tree), mesh, spec)


def _put(host: PyTree[np.ndarray], mesh: Mesh, spec: PartitionSpec) -> PyTree[Array]:
    sharding = NamedSharding(mesh, spec)
    if mesh.is_multi_process:
        # Each process fills its own devices. `device_put` would first compare the trees.
        return jax.tree.map(
            lambda a: jax.make_array_from_callback(a.shape, sharding, lambda part: a[part]), host
        )
    return jax.device_put(host, sharding, may_alias=False)
