"""Networks of the zoo as ONNX files beside their hand-written forms: confidences and speed.

SqueezeNet 1.1 and EfficientNet-Lite0 with their real weights are built by torchvision and timm,
exported, and read back. Both forms score the same photographs, and take turns in one process;
onnxruntime, and networks that have no hand-written form, are timed beside them.

Needs what `onnx_zoo.py` needs.
"""

import os

import jax

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
jax.config.update("jax_num_cpu_devices", CORES)

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from common import forward_call, interleaved, median_ratio, report
from onnx_zoo import export
from onnx_zoo_networks import Entry, build

from qd_fool.data.photographs import list_photographs, read_photographs
from qd_fool.models import ZOO, load_scorer
from qd_fool.models.foreign.onnx.load import from_onnx
from qd_fool.models.origin import locate
from qd_fool.models.readers.read import read_weights
from qd_fool.models.scorer import Scorer
from qd_fool.scoring.log_odds import log_odds

IMAGES = 64
REAL = {
    "squeezenet1.1": (Entry("SqueezeNet", "squeezenet1_1", 224, library="torchvision"), {}),
    "efficientnet-lite0": (
        Entry("EfficientNet", "tf_efficientnet_lite0", 224),
        {"mean": 127, "std": 128},
    ),
}
OTHERS = {
    "resnet18": Entry("ResNet", "resnet18", 224),
    "vit_tiny": Entry("ViT", "vit_tiny_patch16_224", 224),
}


def with_weights(entry: Entry, flat: dict[str, np.ndarray]) -> torch.nn.Module:
    """A network with the arrays of a file. Their names differ, but their order is the same."""
    module = build(entry)
    state = module.state_dict()
    kept = {k: v for k, v in flat.items() if not k.endswith("num_batches_tracked")}
    names = [k for k in state if not k.endswith("num_batches_tracked")]
    if entry.library == "torchvision":  # the same names
        names = [k for k in names if k in kept] if set(names) == set(kept) else names
        kept = dict(zip(names, _squeezenet_order(kept), strict=True))
    for name, array in zip(names, kept.values(), strict=True):
        if tuple(state[name].shape) != array.shape:
            raise ValueError(f"{name}: {tuple(state[name].shape)} and {array.shape}")
        state[name] = torch.from_numpy(np.array(array, np.float32))
    module.load_state_dict(state)
    return module.eval()


def _squeezenet_order(flat: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Arrays in the order of torchvision: layer by layer, weight before bias."""

    def place(name: str) -> tuple:
        layer, _, kind = name.rpartition(".")
        parts = ("squeeze", "expand1x1", "expand3x3")
        number = {"conv1": 1, "conv10": 10}.get(layer)
        if number is None:
            fire, part = layer.split("/")
            number, inner = int(fire.removeprefix("fire")), parts.index(part)
        else:
            inner = 0
        return (number, inner, kind != "weight")

    return [flat[name] for name in sorted(flat, key=place)]


def session(path: Path, size: int, batch: int = 16):
    """A call that runs pictures through onnxruntime, from ready float32 pictures."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = CORES
    run = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = run.get_inputs()[0].name
    x = np.random.default_rng(0).normal(size=(IMAGES, 3, size, size)).astype(np.float32)
    return lambda: [run.run(None, {name: x[i : i + batch]}) for i in range(0, IMAGES, batch)]


def confidences(scorer: Scorer, pictures: np.ndarray) -> np.ndarray:
    """The confidence of each class for each photograph."""
    score = jax.jit(lambda p, x: jax.nn.sigmoid(log_odds(scorer, p, x)))
    found = [
        np.asarray(score(scorer.params, pictures[i : i + 8])) for i in range(0, len(pictures), 8)
    ]
    return np.concatenate(found)


def main() -> None:
    """Compare the two forms, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--squeezenet", type=Path, required=True, help="weights of SqueezeNet 1.1")
    parser.add_argument("--photographs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--chunks", type=int, nargs="*", default=[2, 4])
    parser.add_argument("--exporter", default="torchscript")
    parser.add_argument("--networks", nargs="*", default=[*REAL, *OTHERS])
    arguments = parser.parse_args()
    paths = list_photographs(arguments.images)[: arguments.photographs]
    rows = []
    for name in arguments.networks:
        entry, facts = REAL.get(name) or (OTHERS[name], {})
        row = {"network": name}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.onnx"
            if name in REAL:
                weights = arguments.squeezenet if name == "squeezenet1.1" else None
                flat, _ = read_weights(weights or locate(ZOO[name].origin, model=name))
                module = with_weights(entry, flat)
            else:
                torch.manual_seed(0)
                module = build(entry)
            export(module, torch.randn(3, 3, 224, 224), path, arguments.exporter)
            scorer = from_onnx(path, **facts)
            calls = {
                ("onnx", n): forward_call(scorer, chunk=n, pictures=IMAGES)
                for n in arguments.chunks
            }
            calls[("onnxruntime", 16)] = session(path, 224)
            if name in REAL:
                hand = load_scorer(name, weights=weights)
                calls |= {
                    ("hand", n): forward_call(hand, chunk=n, pictures=IMAGES)
                    for n in arguments.chunks
                }
            seconds = interleaved(calls, rounds=arguments.rounds)
        best = {}
        for who in {who for who, _ in calls}:
            best[who] = min(
                (k for k in calls if k[0] == who), key=lambda k: statistics.median(seconds[k])
            )
        rate = {who: IMAGES / statistics.median(seconds[key]) for who, key in best.items()}
        row["ONNX, images/s"] = f"{rate['onnx']:.1f} (chunk {best['onnx'][1]})"
        row["by hand, images/s"] = row["÷ by hand"] = "-"
        if "hand" in best:
            row["by hand, images/s"] = f"{rate['hand']:.1f} (chunk {best['hand'][1]})"
            row["÷ by hand"] = f"{median_ratio(seconds[best['hand']], seconds[best['onnx']]):.3f}"
        row["onnxruntime, images/s"] = f"{rate['onnxruntime']:.1f}"
        ratio = median_ratio(seconds[best["onnxruntime"]], seconds[best["onnx"]])
        row["÷ onnxruntime"] = f"{ratio:.3f}"
        row["confidences differ by"] = row["same top class"] = "-"
        if name in REAL:
            side = hand.image_shape[0]
            pictures = np.concatenate(list(read_photographs(paths, side=side)))
            foreign, reference = confidences(scorer, pictures), confidences(hand, pictures)
            row["confidences differ by"] = f"{np.abs(foreign - reference).max():.1e}"
            same = (foreign.argmax(1) == reference.argmax(1)).mean()
            row["same top class"] = f"{100 * same:.1f}%"
        rows.append(row)
        print(row, flush=True)
    report(
        "onnx_forward",
        rows,
        words=f"Forward passes of {IMAGES} pictures, float32, {CORES} cores for all: ONNX files "
        f"read by `from_onnx` and hand-written networks over {CORES} host devices from 8-bit "
        "pictures, onnxruntime from ready float32 pictures; each at the chunk that was fastest "
        f"for it, {arguments.rounds} interleaved rounds. Confidences on {len(paths)} photographs.",
    )


if __name__ == "__main__":
    main()
