"""Compiling with little effort, for tests that compare with plain NumPy or PyTorch to a tolerance.

A network is compiled in less than half the time and runs a little slower. Where the bits of two
programs are compared, both must be compiled as a user's are: by `jax.jit`.
"""

import functools

import jax

quick_jit = functools.partial(
    jax.jit,
    compiler_options={
        "xla_backend_optimization_level": 0,
        "xla_llvm_disable_expensive_passes": True,
    },
)
