"""Forward images/s of the ImageNet networks ÷ PyTorch's on the same cores, at the best batches.

Needs PyTorch beside this package: `pip install torch torchvision efficientnet-lite-pytorch`.
PyTorch gains from an allocator that keeps its pages: set MALLOC_MMAP_THRESHOLD_=4294967296
MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456 to see PyTorch at its best.
"""

import os

import jax

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
jax.config.update("jax_num_cpu_devices", CORES)

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
from common import forward_call, median_ratio, report

from qd_fool.models import ZOO
from qd_fool.models.load import make_scorer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from oracles.weights import random_flat
from torch_nets import build

IMAGES = 200
KEEPS_PAGES = "MALLOC_TRIM_THRESHOLD_" in os.environ


def ours(name, chunk):
    """A call that runs `IMAGES` pictures through our network, over all cores."""
    entry = ZOO[name]
    scorer = make_scorer(entry, random_flat(entry), source="random")
    return forward_call(scorer, chunk=chunk, pictures=IMAGES)


def fused(module):
    """EfficientNet-Lite with batch normalisation and even padding folded into the convolutions."""
    from torch.nn.utils.fusion import fuse_conv_bn_eval as fold

    module._conv_stem, module._bn0 = fold(module._conv_stem, module._bn0), torch.nn.Identity()
    module._conv_head, module._bn1 = fold(module._conv_head, module._bn1), torch.nn.Identity()
    for block in module._blocks:
        pairs = [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        for conv, norm in pairs:
            if hasattr(block, conv):
                setattr(block, conv, fold(getattr(block, conv), getattr(block, norm)))
                setattr(block, norm, torch.nn.Identity())
    for conv in module.modules():
        pad = getattr(conv, "static_padding", None)
        if isinstance(pad, torch.nn.ZeroPad2d) and len(set(pad.padding)) == 1:
            conv.padding, conv.static_padding = (pad.padding[0],) * 2, torch.nn.Identity()
    return module


def theirs(name, batch):
    """A call that runs as many ready tensors through PyTorch's network, channels last."""
    module, size, _ = build(name)
    if name.startswith("efficientnet"):
        module = fused(module)
    module = module.to(memory_format=torch.channels_last)
    x = torch.rand(IMAGES, 3, size, size).contiguous(memory_format=torch.channels_last)

    def call():
        with torch.inference_mode():
            for i in range(0, IMAGES, batch):
                module(x[i : i + batch])

    return call


def seconds_of(calls, rounds):
    """The seconds of each call, in turns. A pause lets the threads of the last call end."""
    for call in calls.values():
        call()
    seconds = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            time.sleep(0.05)
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def main():
    """Time each network in both libraries with several batch sizes, and compare the best."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="squeezenet1.1,efficientnet-lite0,alexnet")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--table", default="imagenet_forward", help="name of the table to write")
    arguments = parser.parse_args()
    torch.set_num_threads(CORES)
    rows = []
    for name in arguments.models.split(","):
        chunks = (20, 50, 100) if "alexnet" in name else (1, 2, 4)
        batches = (40, 100, 200) if "alexnet" in name else (8, 20, 40, 100)
        calls = {("ours", n): ours(name, n) for n in chunks}
        calls |= {("theirs", n): theirs(name, n) for n in batches}
        # The first rounds find the best size of each; the ratio is that of the two best alone.
        screened = seconds_of(calls, 3)
        best = {
            who: min((k for k in calls if k[0] == who), key=lambda k: min(screened[k]))
            for who in ("ours", "theirs")
        }
        seconds = seconds_of({who: calls[key] for who, key in best.items()}, arguments.rounds)
        default = ours(name, ZOO[name].chunk)
        default_seconds = seconds_of({"ours": default}, 3)["ours"]
        rows.append(
            {
                "network": name,
                "ours, images/s": round(IMAGES / statistics.median(seconds["ours"]), 1),
                "chunk": best["ours"][1],
                "at the default chunk": f"{IMAGES / statistics.median(default_seconds):.1f} "
                f"({ZOO[name].chunk})",
                "PyTorch, images/s": round(IMAGES / statistics.median(seconds["theirs"]), 1),
                "batch": best["theirs"][1],
                "ours ÷ PyTorch": round(median_ratio(seconds["theirs"], seconds["ours"]), 3),
            }
        )
    report(
        arguments.table,
        rows,
        words=f"Forward passes of {IMAGES} pictures, float32, random weights, {CORES} cores for "
        f"both: ours over {CORES} host devices from 8-bit pictures, PyTorch {torch.__version__} "
        "channels last (batch normalisation folded) from ready tensors; "
        f"{'glibc set to keep its pages' if KEEPS_PAGES else 'the default allocator'}; each at its "
        f"fastest batch, in {arguments.rounds} interleaved rounds of the two.",
    )


if __name__ == "__main__":
    main()
