"""Bytes of collectives, from texts of programs and from a program."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec

from qd_fool.devices.mesh import AXIS, make_mesh
from qd_fool.devices.traffic import collective_bytes


def test_each_kind_is_added_up():
    program = """
      %a = u8[2,100]{1,0} all-gather(%x), channel_id=1
      %b = (f32[5]{0}, f32[10]{0}) all-gather-start(%y), channel_id=2
      %c = f32[10]{0} all-gather-done(%b)
      %d = (s32[], pred[3]{0}) all-reduce(%p, %q), to_apply=%sum
      %e = f32[7]{0} add(%all-reduce, %f)
    """
    assert collective_bytes(program) == {"all-gather": 200 + 40, "all-reduce": 4 + 3}


def test_an_unknown_type():
    with pytest.raises(ValueError, match="all-gather of type c64"):
        collective_bytes("%a = c64[2]{0} all-gather(%x)")


def test_a_program_of_two_devices():
    everywhere = PartitionSpec()
    call = jax.shard_map(
        lambda x: jax.lax.all_gather(x, AXIS),
        mesh=make_mesh(2),
        in_specs=PartitionSpec(AXIS),
        out_specs=everywhere,
        check_vma=False,
    )
    compiled = jax.jit(call).lower(jnp.zeros((6, 3), jnp.int16)).compile()
    assert collective_bytes(compiled.as_text()) == {"all-gather": 6 * 3 * 2}
