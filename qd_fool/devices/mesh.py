"""Devices side by side: the mesh that batches are split over, and copies on each device."""

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from qd_fool.errors import UserError

__all__ = ["make_mesh"]

AXIS = "batch"


def make_mesh(devices: int | None = None) -> Mesh:
    """Return a mesh over the first `devices` local devices; all of them by default.

    Raises:
      UserError: There are fewer devices.
    """
    local = jax.local_devices()
    count = len(local) if devices is None else devices
    if not 1 <= count <= len(local):
        raise UserError(f"devices is {count}: this process has {len(local)} ({local[0].platform})")
    return Mesh(np.array(local[:count]), (AXIS,), axis_types=(AxisType.Auto,))


def replicate(tree: PyTree, mesh: Mesh) -> PyTree[Array]:
    """Copy a tree to each device of the mesh. The result owns the copies and may be donated."""
    sharding = NamedSharding(mesh, PartitionSpec())
    return jax.device_put(jax.tree.map(lambda a: np.array(a), tree), sharding, may_alias=False)
