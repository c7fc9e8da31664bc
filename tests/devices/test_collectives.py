"""The packed gather against JAX's own, on every type of leaf that travels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from qd_fool.devices.collectives import ALONE, all_gather_packed
from qd_fool.devices.mesh import AXIS, make_mesh


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_equals_all_gather_bit_for_bit(devices):
    rng = np.random.default_rng(0)
    n = 8
    floats = rng.normal(size=(n, 3)).astype(np.float32)
    floats[0] = [np.nan, -0.0, -np.inf]
    tree = {
        "genomes": jnp.asarray(rng.integers(0, 256, (n, 2, 5)), jnp.uint8),
        "fitness": jnp.asarray(floats),
        "id": jnp.asarray(rng.integers(-5, 5, n), jnp.int32),
        "half": jnp.asarray(rng.normal(size=(n, 2)), jnp.bfloat16),
        "flag": jnp.asarray(rng.random(n) < 0.5),
        "alone": jnp.asarray(rng.integers(0, 256, (n, ALONE // 2), np.uint8)),
    }

    def both(tree):
        plain = jax.lax.all_gather(tree, AXIS, tiled=True)
        return plain, all_gather_packed(tree, AXIS)

    split, whole = PartitionSpec(AXIS), PartitionSpec()
    call = jax.shard_map(
        both, mesh=make_mesh(devices), in_specs=split, out_specs=whole, check_vma=False
    )
    plain, packed = jax.jit(call)(tree)
    for name in tree:
        assert plain[name].dtype == packed[name].dtype
        assert plain[name].shape == packed[name].shape == tree[name].shape
        assert np.asarray(plain[name]).tobytes() == np.asarray(packed[name]).tobytes()
