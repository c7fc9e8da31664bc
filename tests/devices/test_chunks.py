"""A batch in chunks of one size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qd_fool.devices.chunks import apart, map_chunks


@pytest.mark.parametrize("n", [1, 4, 7, 8])
def test_chunks_cover_every_individual_once(n):
    calls = []

    def double(x):
        calls.append(x["a"].shape)
        return x["a"] * 2

    batch = {"a": jnp.arange(n * 3).reshape(n, 3)}
    np.testing.assert_array_equal(map_chunks(double, batch, chunk=4), batch["a"] * 2)
    assert set(calls) == {(4, 3)}


def doubled(batch):
    return 2 * batch["values"]


def test_what_is_computed_apart_is_the_same_and_stays_a_branch():
    batch = {"values": jnp.arange(12, dtype=jnp.uint8).reshape(3, 4)}
    call = jax.jit(lambda batch, seen: 1.5 * apart(doubled, batch, always=seen[0] != -1))
    seen = jnp.zeros(3, jnp.int32)
    np.testing.assert_array_equal(call(batch, seen), 3.0 * np.arange(12).reshape(3, 4))
    if jax.default_backend() == "cpu":
        assert " conditional(" in call.lower(batch, seen).compile().as_text()
    # Seeds under vmap get the same.
    two = jax.tree.map(lambda a: jnp.stack([a, a + 1]), batch)
    both = jax.vmap(call)(two, jnp.zeros((2, 3), jnp.int32))
    np.testing.assert_array_equal(both[1], 3.0 * (1 + np.arange(12).reshape(3, 4)))
