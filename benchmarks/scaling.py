"""How many devices a run can use: the measured forward pass, and bytes read from the program.

The bytes of a generation follow from a formula, which is compared with the compiled programs of 2,
4 and 8 devices before it is used for more.
"""

import argparse
import dataclasses
import itertools
import os
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np
from common import forward_call, report

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from accelerator_rows import Machine, seconds_of
from tiny import linear_scorer

from qd_fool import MapElitesConfig, load_scorer, make_encoding
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.devices.traffic import collective_bytes
from qd_fool.encodings.base import genome_bytes
from qd_fool.map_elites.segments import make_segment
from qd_fool.map_elites.state import init

jax.config.update("jax_num_cpu_devices", 8)  # nothing has begun yet

CELLS = 1000
SHARE, LARGEST = 0.9, 2**20
PER_INDIVIDUAL, PER_CELL, PER_DEVICE = 12, 8, 5
"""Bytes beside a genome: three numbers; a bid and who makes it; two facts of the batch."""


def sent(batch: int, *, devices: int, chunk: int, genome: int) -> int:
    """Bytes that each device holds after a generation's messages."""
    if devices == 1:
        return 0
    each = min(-(-batch // (chunk * devices)) * chunk, CELLS)
    individuals = devices * each * (genome + PER_INDIVIDUAL)
    return individuals + devices * (CELLS * PER_CELL + PER_DEVICE)


def check(encoding_name: str) -> None:
    """Compare the formula with programs, and end if they differ."""
    names = tuple(map(str, range(CELLS)))
    scorer = dataclasses.replace(linear_scorer(classes=CELLS), class_names=names)
    encoding = make_encoding(encoding_name, scorer.image_shape)
    genome = genome_bytes(encoding)
    for devices in (2, 4, 8):
        for batch in (400, 16_000):
            config = MapElitesConfig(batch_size=batch, chunk=10)
            mesh = make_mesh(devices)
            segment = make_segment(scorer, encoding, config, mesh=mesh, length=1)
            state = replicate(init(encoding, CELLS, seed=0), mesh)
            params = replicate(scorer.params, mesh)
            program = segment.lower(state, params, np.int32(1)).compile().as_text()
            found = sum(collective_bytes(program).values())
            expected = sent(batch, devices=devices, chunk=10, genome=genome)
            if found != expected:
                raise SystemExit(
                    f"{encoding_name}, {devices} devices: {found} bytes, not {expected}"
                )


def main() -> None:
    """Measure the forward pass, and write a row per speed and number of devices."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="squeezenet1.1")
    parser.add_argument("--weights", help="weights for the model instead of random ones")
    parser.add_argument("--chunk", type=int, default=2)
    parser.add_argument(
        "--gigabytes", type=float, nargs="*", default=[1.25, 50], help="per second and device"
    )
    parser.add_argument("--wait", type=float, default=50e-6, help="s that a message takes at least")
    parser.add_argument("--faster", type=float, nargs="*", default=[20_000], help="images/s")
    arguments = parser.parse_args()
    for name in ("direct", "cppn"):
        check(name)
    named = {arguments.model: arguments.weights} if arguments.weights else {}
    with tempfile.TemporaryDirectory() as folder:
        file = Machine(weights=named, small=True, folder=Path(folder)).file(arguments.model)
        scorer = load_scorer(arguments.model, weights=file)
    genome = genome_bytes(make_encoding("cppn", scorer.image_shape))
    cores = len(os.sched_getaffinity(0))
    pictures = 8 * arguments.chunk * 10
    call = forward_call(scorer, chunk=arguments.chunk, pictures=pictures)
    core = pictures / seconds_of(call) / cores
    rows = []
    speeds = [(core, arguments.chunk), *((speed, 200) for speed in arguments.faster)]
    for (speed, chunk), link in itertools.product(speeds, arguments.gigabytes):

        def share(
            batch: int, devices: int, speed: float = speed, chunk: int = chunk, link: float = link
        ) -> float:
            """The share of the devices' speed that is left."""
            each = -(-batch // (chunk * devices)) * chunk
            size = sent(batch, devices=devices, chunk=chunk, genome=genome)
            message = size / (link * 1e9) + (arguments.wait if devices > 1 else 0)
            return batch / devices / speed / (each / speed + message)

        for devices in (1, 2, 8, 32, 128, 512, 1024):
            batches = (chunk * devices * 2**k for k in range(20))
            fit = (b for b in batches if b <= LARGEST and share(b, devices) >= SHARE)
            batch = next(fit, None)
            rows.append(
                {
                    "images/s of a device": round(speed),
                    "GB/s": link,
                    "chunk": chunk,
                    "devices": devices,
                    "share of speed left at batch 400": round(share(400, devices), 3),
                    f"least batch with {SHARE:.0%} left": batch or "none",
                    "its messages in MB": round(
                        sent(batch, devices=devices, chunk=chunk, genome=genome) / 1e6, 2
                    )
                    if batch
                    else "-",
                    "its evaluations/s": round(share(batch, devices) * speed * devices)
                    if batch
                    else "-",
                }
            )
    report(
        "scaling",
        rows,
        words=f"Evolution with CPPNs against {CELLS:,} classes on more and more devices. The first "
        f"speed is that of {arguments.model} on one core of this machine; other speeds are "
        "supposed, not measured. Messages are those of the compiled program: the formula was equal "
        "to the programs of 2, 4 and 8 devices, for both encodings. Supposed: what a device takes "
        f"per second (1.25 GB are 10 Gbit Ethernet), and that a message takes at least "
        f"{arguments.wait * 1e6:g} µs. A batch is cut into whole chunks, so a small batch leaves "
        f"devices idle. No batch above {LARGEST:,} is looked at.",
    )


if __name__ == "__main__":
    main()
