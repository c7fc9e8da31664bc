"""Constants, and branches whose condition is known before a picture is."""

from typing import Any

import numpy as np

from qd_fool.models.foreign.onnx.operator import Call, Unfit, operator


@operator("Constant")
def _constant(call: Call) -> Any:
    for name, dtype in (
        ("value", None),
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        found = call.setting(name)
        if found is not None:
            return np.asarray(found, dtype)
    raise Unfit("a constant without numbers")


@operator("If")
def _if(call: Call) -> Any:
    """PyTorch writes branches on shapes, which are known."""
    chosen = "then_branch" if bool(call.static(0).reshape(())) else "else_branch"
    branch = call.setting(chosen)
    if branch is None:
        raise Unfit(f"{chosen} is missing")
    return call.branch(branch)
