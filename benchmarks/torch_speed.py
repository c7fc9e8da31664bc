"""End-to-end evaluations/s of a search against a module of PyTorch ÷ the bare module's pictures/s.

The bare module runs in PyTorch's `channels_last` and inference mode, on batches of the same size,
on the same cores. Both take turns. Drawing and scoring are also timed apart.

Needs PyTorch, timm and torchvision beside this package, as `onnx_zoo.py` does.
"""

import os

import jax

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
jax.config.update("jax_num_cpu_devices", CORES)

import argparse
import statistics

import numpy as np
import torch
from common import interleaved, median_ratio, report
from onnx_zoo_networks import Entry, build

from qd_fool import MapElitesConfig, from_torch, make_encoding
from qd_fool.devices.mesh import make_mesh
from qd_fool.map_elites.segments import make_segment
from qd_fool.map_elites.state import init

SIDE = 224
NETWORKS = {
    "squeezenet1_1": Entry("SqueezeNet", "squeezenet1_1", SIDE, library="torchvision"),
    "resnet18": Entry("ResNet", "resnet18", SIDE, library="torchvision"),
}


def main():
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--chunk", type=int, default=64)
    parser.add_argument("--evolved", type=int, nargs="+", default=[1], help="generations before")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    options = parser.parse_args()
    rows = []
    for name in options.networks:
        torch.manual_seed(0)
        module = build(NETWORKS[name])
        for encoding in ("direct", "cppn"):
            for evolved in options.evolved:
                rows.append(measure(name, module, encoding, evolved, options))
                print(rows[-1], flush=True)
    report(
        "torch_speed",
        rows,
        words=f"MAP-Elites against modules that PyTorch {torch.__version__} runs, "
        f"random weights, 1000 cells, pictures of {SIDE}x{SIDE}, batches of {options.batch} in "
        f"chunks of {options.chunk}, after so many generations. `ratio` is the median over "
        f"{options.rounds} interleaved rounds of the bare module's seconds ÷ the search's. "
        "`drawing` and `scoring` are the seconds of their parts alone, per batch. "
        f"{torch.get_num_threads()} threads of PyTorch.",
    )


def measure(name, module, encoding_name, evolved, options):
    """The row of a network and an encoding."""
    scorer = from_torch(module, input_size=SIDE, chunk=options.chunk)
    encoding = make_encoding(encoding_name, scorer.image_shape)
    config = MapElitesConfig(batch_size=options.batch, chunk=options.chunk)
    segment = make_segment(scorer, encoding, config, mesh=make_mesh(), length=64)
    state = init(encoding, len(scorer.class_names), seed=0)
    state, _ = segment(state, (), evolved)

    def search():
        nonlocal state
        state, _ = segment(state, (), 1)

    shape = (options.batch, 3, SIDE, SIDE)
    pictures = torch.rand(shape).contiguous(memory_format=torch.channels_last)

    def bare():
        with torch.inference_mode():
            for start in range(0, options.batch, options.chunk):
                module(pictures[start : start + options.chunk])

    counts = range(len(segment.counts))

    def drawing():
        jax.block_until_ready([segment._make_and_draw(state, np.int32(i))[1] for i in counts])

    shown = [segment._make_and_draw(state, np.int32(i))[1] for i in counts]

    def scoring():
        for chunk in shown:
            scorer.score(scorer.hand(chunk[0])[0])

    runs = {"search": search, "bare": bare, "drawing": drawing, "scoring": scoring}
    seconds = interleaved(runs, rounds=options.rounds)
    middle = {key: statistics.median(values) for key, values in seconds.items()}
    return {
        "network": name,
        "encoding": encoding_name,
        "generations before": evolved,
        "evaluations/s": round(options.batch / middle["search"], 1),
        "bare pictures/s": round(options.batch / middle["bare"], 1),
        "ratio": f"{median_ratio(seconds['bare'], seconds['search']):.3f}",
        "scoring ratio": f"{median_ratio(seconds['bare'], seconds['scoring']):.3f}",
        "drawing": f"{middle['drawing']:.2f}",
        "scoring": f"{middle['scoring']:.2f}",
    }


if __name__ == "__main__":
    main()
