"""Everything around a run that decides its bits, beside its settings.

`pinned` sets what a command can set by itself. The rest is recorded here for each part of a run:
versions, processor, XLA's flags. A resume says what differs.
"""

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jax.sharding import Mesh
from rich.console import Console

from qd_fool.commands.common.networks import Networks
from qd_fool.lazy import load
from qd_fool.models.foreign.settings import is_foreign

PACKAGES = ("qd-fool", "jax", "jaxlib", "flax", "numpy", "orbax-checkpoint", "pillow")

FRAMEWORKS = (
    "ai_edge_litert",
    "cv2",
    "httpx",
    "keras",
    "onnx",
    "onnxruntime",
    "sklearn",
    "tensorflow",
    "torch",
)
"""Modules that users' networks may run in."""

ENVIRONMENT = ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE", "NPY_DISABLE_CPU_FEATURES")
"""Environment variables that change arithmetic. They are recorded where they are set."""

INSTRUCTIONS = (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("sse4_2", "SSE4.2"))
"""Instruction sets for which XLA compiles different programs, the best first."""


def circumstances(mesh: Mesh, networks: Networks) -> dict[str, Any]:
    """Versions, device and arithmetic of a run, for `run.json`.

    Args:
      mesh: Devices that the run uses.
      networks: Networks of the run.
    """
    device = mesh.devices.flat[0]
    precision = load("jax:config").jax_default_matmul_precision
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
            **_frameworks(networks),
        },
        "device": {
            "kind": device.device_kind,
            "platform": device.platform,
            "count": mesh.devices.size,
            "machine": platform.machine(),
        },
        "arithmetic": {
            "processor": processor(),
            "instructions": instructions(),
            "jax_default_matmul_precision": precision,
            **{name: os.environ[name] for name in ENVIRONMENT if os.environ.get(name)},
        },
    }


def processor() -> str:
    """The name of the processor, as far as the system says it."""
    return _cpu_info("model name") or platform.processor() or platform.machine()


def instructions() -> str:
    """The best instruction set of the processor for which XLA compiles programs of its own."""
    flags = _cpu_info("flags").split()
    return next((name for flag, name in INSTRUCTIONS if flag in flags), platform.machine())


def _cpu_info(key: str) -> str:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return ""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def _frameworks(networks: Networks) -> dict[str, str]:
    """The versions of other frameworks, if a user's network has imported them."""
    if not any(map(is_foreign, (networks.model, *networks.also))):
        return {}
    loaded = {name: sys.modules[name] for name in FRAMEWORKS if name in sys.modules}
    found = {name: getattr(module, "__version__", None) for name, module in loaded.items()}
    return {name: str(version) for name, version in found.items() if version}


def with_parts(
    record: dict[str, Any], stored: Mapping[str, Any], *, done: int, console: Console
) -> dict[str, Any]:
    """The record of a run that continues, with the circumstances of each part of it.

    Prints what differs from the part before, and what that means.

    Args:
      record: Contents of `run.json` from now on.
      stored: Contents of `run.json` so far; empty for a new run.
      done: Generations, targets or rounds that earlier parts have done.
      console: Console for notes.
    """
    facts = ("versions", "device", "arithmetic")
    now = {"from": done, **{name: record[name] for name in facts}}
    earlier = stored.get("parts")
    if not isinstance(earlier, list) or not all(isinstance(part, dict) for part in earlier):
        # An older version kept those of the last part only.
        earlier = [{"from": 0, **{name: stored[name] for name in facts if name in stored}}]
    if not stored:
        return record | {"parts": [now]}
    different = list(_differences(earlier[-1], now))
    for words in different:
        console.print(f"note: {words}")
    if not different:
        return record | {"parts": earlier}
    console.print(
        "note: from here on, results may differ in their last bits from those of a run that was "
        "not interrupted; run.json records both parts"
    )
    return record | {"parts": [*earlier, now]}


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """One phrase per circumstance that two parts of a run do not share."""
    for group in ("versions", "device", "arithmetic"):
        old, new = before.get(group), now[group]
        if not isinstance(old, Mapping):
            continue
        names = [*new, *(name for name in old if name not in new)]
        # Older versions did not record the arithmetic. The number of devices changes no bit.
        for name in names if old else ():
            if name != "count" and old.get(name) != new.get(name):
                kind = "the device's " if group == "device" else ""
                yield f"{kind}{name} is {new.get(name)}, the run had {old.get(name)}"
