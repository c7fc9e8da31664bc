"""JAX's settings that change random numbers or types, pinned while a command runs."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from qd_fool.errors import UserError
from qd_fool.lazy import load

PINNED: Mapping[str, Any] = MappingProxyType(
    {
        "jax_threefry_partitionable": True,
        "jax_default_prng_impl": "threefry2x32",
        "jax_random_seed_offset": 0,
        "jax_enable_x64": False,
        "jax_numpy_dtype_promotion": "standard",
        "jax_disable_jit": False,
    }
)
"""JAX's settings while a command runs, whatever the environment says. They are JAX's defaults."""


@contextmanager
def pinned_settings() -> Iterator[None]:
    """Set JAX's settings that a command can set by itself, and set them back afterwards."""
    config = load("jax:config")
    known = {name: getattr(config, name) for name in PINNED if hasattr(config, name)}
    changed = {name: value for name, value in known.items() if value != PINNED[name]}
    for name in changed:
        config.update(name, PINNED[name])
    try:
        yield
    finally:
        for name, value in changed.items():
            config.update(name, value)


def check_platforms() -> None:
    """Check that JAX starts on the platforms that JAX_PLATFORMS names, if it names any.

    Raises:
      UserError: It does not.
    """
    asked = os.environ.get("JAX_PLATFORMS")
    if not asked:
        return
    try:
        load("jax:devices")()
    except Exception as error:  # JAX raises a RuntimeError, or an AssertionError without words
        first = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise UserError(
            f"JAX_PLATFORMS is {asked}: expected devices that this machine and JAX have, such as "
            f"cpu ({first})"
        ) from error
