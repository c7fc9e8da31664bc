"""Memory for the genomes of a run: what they need and what there is, before anything compiles."""

import os
from pathlib import Path

from jax.sharding import Mesh

from qd_fool.commands.evolve.plan import EvolvePlan
from qd_fool.encodings.base import genome_bytes
from qd_fool.encodings.table import ENCODINGS
from qd_fool.errors import UserError

SMALL = 2**28
"""Bytes of all genomes up to which nothing is checked."""

HOST_COPIES = 3
"""Copies of all genomes on the host while a checkpoint is saved, beside those of the devices."""

BESIDE = 2**30
"""Bytes that a run takes beside its genomes, about: programs, weights, a batch."""


CGROUP = Path("/sys/fs/cgroup")


def check_memory(planned: EvolvePlan, mesh: Mesh, *, free: int | None = None) -> None:
    """Check that the genomes of all cells fit into memory.

    Args:
      planned: Plan of the run.
      mesh: Devices of the run.
      free: Bytes of free memory; by default as the system says.

    Raises:
      UserError: They don't. The sentence names the settings that need less.
    """
    encoding = planned.subject.encoding
    cells, genome = len(planned.subject.scorer.class_names), genome_bytes(encoding)
    if cells * genome <= SMALL:
        return
    device = mesh.local_devices[0]
    here = len(mesh.local_devices) if device.platform == "cpu" else 0
    holds = f"{cells:,} cells of the {encoding.name} encoding, {genome:,} bytes each,"

    # An accelerator holds one copy.
    stats = (device.memory_stats() or {}) if not here else {}
    limit = stats.get("bytes_limit")
    if limit is not None and cells * genome + BESIDE > limit:
        raise UserError(
            f"{holds} need {_size(cells * genome + BESIDE)} of memory on each "
            f"{device.device_kind}, and there are {_size(limit)}: expected "
            f"{_advice(planned, limit, copies=1)}"
        )

    # The host holds a copy per device of its own, and those of a checkpoint.
    free = free_memory() if free is None else free
    needed = cells * genome * (here + HOST_COPIES) + BESIDE
    if free is None or needed <= free:
        return
    fewer = cells * genome * (1 + HOST_COPIES) + BESIDE
    if here > 1 and fewer <= free:
        advice = f"--devices 1, which needs {_size(fewer)}"
    else:
        copies = min(here, 1) + HOST_COPIES
        advice = _advice(planned, free, copies=copies)
        advice = f"--devices 1 and {advice}" if here > 1 else advice
    raise UserError(
        f"{holds} need about {_size(needed)} of memory with {here or 'no'} "
        f"CPU device{'s' * (here != 1)}, and {_size(free)} are free: expected {advice}"
    )


def _advice(planned: EvolvePlan, free: int, *, copies: int) -> str:
    """The settings with which the genomes fit, in words."""
    subject = planned.subject
    cells, genome = len(subject.scorer.class_names), genome_bytes(subject.encoding)
    height, width, _ = subject.encoding.image_shape
    advice = []
    # The genomes of pictures shrink with their area.
    share = (free - BESIDE) / (copies * cells * genome)
    largest = int(min(height, width) * max(share, 0) ** 0.5)
    size = subject.scorer.input_size
    least = size if isinstance(size, int) else max(size)
    if subject.encoding.name == "direct" and largest >= least:
        advice.append(f"--image-size {largest} or less")
    if subject.encoding.name != "cppn" and "cppn" in ENCODINGS:
        advice.append("--encoding cppn, whose genomes are small")
    return " or ".join(advice) or "a machine with more memory"


def free_memory() -> int | None:
    """Return the bytes that this process can still take; None if the system does not say."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        table = dict(line.split(":") for line in lines if ":" in line)
        found.append(int(table["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError, ValueError):
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    # A container may have less than the machine.
    try:
        limit = int((CGROUP / "memory.max").read_text())
        lines = (CGROUP / "memory.stat").read_text().splitlines()
        inactive = {k: int(v) for k, v in (line.split() for line in lines)}["inactive_file"]
        found.append(limit - int((CGROUP / "memory.current").read_text()) + inactive)
    except (OSError, KeyError, ValueError):
        pass
    return min(found, default=None)


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB"
