"""The code that pages show, and how it is run."""

import re
import types

import jax


def fenced(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.S | re.M)


def run(blocks):
    """Run blocks one after the other, in one module, where JAX is as readers have it.

    As they are shown, but for the number of generations, which takes time and teaches nothing.
    """
    module = types.ModuleType("shown")
    with jax.numpy_rank_promotion("allow"):
        for block in blocks:
            brief = re.sub(r"\bgenerations=\d+", "generations=3", block)
            exec(compile(brief, "shown", "exec"), vars(module))  # noqa: S102
    return module
