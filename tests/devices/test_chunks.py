"""A batch in chunks of one size."""

import jax.numpy as jnp
import numpy as np
import pytest

from qd_fool.devices.chunks import map_chunks


@pytest.mark.parametrize("n", [1, 4, 7, 8])
def test_chunks_cover_every_individual_once(n):
    calls = []

    def double(x):
        calls.append(x["a"].shape)
        return x["a"] * 2

    batch = {"a": jnp.arange(n * 3).reshape(n, 3)}
    np.testing.assert_array_equal(map_chunks(double, batch, chunk=4), batch["a"] * 2)
    assert set(calls) == {(4, 3)}
