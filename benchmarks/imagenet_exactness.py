"""Check the ImageNet networks: logits against PyTorch's, accuracy, bfloat16.

With `--run DIR`, the confidences of a run's PNGs are compared with PyTorch's. Needs PyTorch beside
this package: `pip install torch torchvision efficientnet-lite-pytorch`.
"""

import os

import jax

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
jax.config.update("jax_num_cpu_devices", CORES)

import argparse
import importlib.metadata
import json
import sys
import tempfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import torch
from common import report

from qd_fool.data.photographs import class_of, list_photographs, read_photographs
from qd_fool.devices.chunks import map_chunks
from qd_fool.models import ZOO, load_scorer
from qd_fool.runs.directory import read_run
from qd_fool.runs.elites import read_elites
from qd_fool.runs.pictures import read_image
from qd_fool.scoring.crops import crop, crop_places
from qd_fool.scoring.score import score_function

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from oracles import caffe_nets
from oracles.caffemodel_writer import write_caffemodel
from torch_nets import build

FILES = {
    "squeezenet1.0-caffe": "squeezenet_v1.0_deepcompressed.npz",
    "squeezenet1.1-caffe": "squeezenet_v1.1_caffe_fp16.npz",
    "squeezenet1.1": "squeezenet_v1.1_torchvision_fp16.npz",
}
NUMPY = {"bvlc-alexnet": caffe_nets.bvlc_alexnet, "caffenet": caffe_nets.caffenet}


def weights_of(name, folder, scratch):
    """A weights file and its kind: real weights if available, else random ones."""
    if name in FILES:
        return folder / FILES[name], "real"
    if name.startswith("efficientnet"):
        origin = ZOO[name].origin
        files = importlib.metadata.files(origin.package)
        return next(Path(f.locate()) for f in files if f.name == origin.name), "real"
    if name in NUMPY:
        path = scratch / f"{name}.caffemodel"
        write_caffemodel(path, caffe_nets.random_flat(name.replace("-", "_"), 0), version="v1")
        return path, "random, a generated caffemodel"
    path = scratch / f"{name}.pth"
    torch.save(build(name)[0].state_dict(), path)
    return path, "random, saved by torchvision"


def theirs(name, path, pictures):
    """The logits of an independent implementation: PyTorch, or NumPy for Caffe's AlexNets."""
    if name in NUMPY:
        size = ZOO[name].input_size
        top = (pictures.shape[1] - size) // 2
        cut = pictures[:, top : top + size, top : top + size, ::-1]
        x = (cut - np.array([104.0, 117.0, 123.0])).transpose(0, 3, 1, 2)
        flat = caffe_nets.random_flat(name.replace("-", "_"), 0)
        return np.concatenate([NUMPY[name](flat, x[i : i + 4]) for i in range(0, len(x), 4)])
    module, _, preprocess = build(name, path)
    with torch.inference_mode():
        parts = [module(preprocess(pictures[i : i + 16])) for i in range(0, len(pictures), 16)]
    return torch.cat(parts).numpy()


def ours(scorer, pictures):
    """Our logits of the centre crop."""
    (place,) = crop_places(scorer.image_shape, size=scorer.input_size, crops=1)

    def logits(params, chunk):
        x = crop(chunk, place, size=scorer.input_size).astype(jnp.float32)
        return scorer.apply(params, scorer.preprocess(x))

    call = jax.jit(lambda p, x: map_chunks(lambda c: logits(p, c), x, chunk=scorer.chunk))
    return np.asarray(call(scorer.params, pictures))


def softmax(logits):
    """The softmax over the last axis, in float64."""
    shares = np.exp(np.float64(logits) - logits.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def networks(arguments):
    """Write one row per network."""
    rows = []
    paths = list_photographs(arguments.images)
    with tempfile.TemporaryDirectory() as scratch:
        for name in [n for n in ZOO if ZOO[n].imagenet]:
            path, whose = weights_of(name, arguments.weights, Path(scratch))
            scorer = load_scorer(name, weights=path)
            side = scorer.image_shape[0]
            chosen = paths[:: max(1, len(paths) // 64)][:64]
            pictures = np.concatenate(list(read_photographs(chosen, side=side)))
            expected, found = theirs(name, path, pictures), ours(scorer, pictures)
            rough = ours(load_scorer(name, weights=path, precision="bfloat16"), pictures)
            row = {
                "network": name,
                "weights": whose,
                "logits, largest error ÷ largest logit": f"{relative(found, expected):.1e}",
                "bfloat16: largest error ÷ largest logit": f"{relative(rough, expected):.1e}",
                "bfloat16: largest change of a confidence": (
                    f"{np.abs(softmax(rough) - softmax(expected)).max():.3f}"
                ),
                "top-1 / top-5, %": "",
            }
            if whose == "real":
                score = score_function(scorer, crops=1, chunk=scorer.chunk)
                scores = [score(scorer.params, b) for b in read_photographs(paths, side=side)]
                odds = np.concatenate(scores)
                classes = np.array([class_of(p, scorer.wnids) for p in paths])
                rank = (odds >= odds[np.arange(len(odds)), classes][:, None]).sum(axis=1) - 1
                row["top-1 / top-5, %"] = f"{(rank < 1).mean():.1%} / {(rank < 5).mean():.1%}"
            rows.append(row)
            print(json.dumps(row), flush=True)
    report(
        "imagenet_exactness",
        rows,
        words="Logits of 64 photographs against an independent implementation (PyTorch; plain "
        "NumPy in float64 for Caffe's AlexNets), in float32 and in bfloat16, and accuracy on "
        f"{len(paths)} photographs, one per class. These are easier than the validation set, "
        "so their accuracy only checks weights and preprocessing.",
    )


def relative(found, expected):
    """The largest difference divided by the largest value."""
    return np.abs(found - expected).max() / np.abs(expected).max()


def rescored(arguments):
    """Write one row per run."""
    rows = []
    for directory in arguments.run:
        run = read_run(directory)
        name = run["config"]["model"]
        path = weights_of(name, arguments.weights, Path())[0]
        elites = read_elites(directory)
        pictures = np.stack([read_image(directory / e["png"], channels=3) for e in elites])
        shares = softmax(theirs(name, path, pictures))
        cells = np.array([int(e["class_index"]) for e in elites])
        stated = np.array([float(e["confidence"]) for e in elites])
        difference = np.abs(shares[np.arange(len(cells)), cells] - stated)
        rows.append(
            {
                "network": name,
                "encoding": run["config"]["encoding"],
                "evaluations": run["evaluations"],
                "PNGs": len(elites),
                "largest difference": f"{difference.max():.1e}",
                "median confidence": f"{np.median(stated):.4f}",
            }
        )
    report(
        "imagenet_rescored",
        rows,
        words="Confidences that a run states (one crop) against PyTorch's confidences for its "
        "PNGs.",
    )


def main():
    """Check networks, or runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, help="photographs named <WNID>.jpg")
    parser.add_argument("--weights", type=Path, required=True, help="folder of SqueezeNet's .npz")
    parser.add_argument("--run", type=Path, nargs="*", help="run directories to score again")
    arguments = parser.parse_args()
    if arguments.run:
        rescored(arguments)
    else:
        networks(arguments)


if __name__ == "__main__":
    main()
