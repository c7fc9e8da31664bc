"""Networks of timm and torchvision, exported to ONNX and read back: logits and gradients compared.

Weights are random; the statistics of batch normalisation are set from one batch first, so that
numbers keep their size. Each network goes through both of PyTorch's exporters. The network that is
read from the file is compared with PyTorch and with onnxruntime. `onnx_zoo.jsonl` has one line per
network and exporter; these are not repeated.

Needs PyTorch, timm, torchvision, onnxscript and onnxruntime beside this package:
`pip install torch onnx onnxscript onnxruntime`, and `pip install --no-deps timm torchvision`.
"""

import argparse
import json
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import torch
from common import HERE, report
from onnx_zoo_networks import NETWORKS, Entry, build

from qd_fool.errors import UserError
from qd_fool.models.foreign.onnx.load import from_onnx

LINES = HERE / "onnx_zoo.jsonl"
BATCH, TRACED = 2, 3
"""Number of pictures that are compared, and of pictures that the exporter sees. They differ because
the file must take any number."""

LOGITS_BAR, GRADIENT_BAR = 1e-4, 1e-3


def settle(module: torch.nn.Module, pictures: torch.Tensor) -> None:
    """Set the statistics of batch normalisation from one batch."""
    norms = [m for m in module.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    with torch.no_grad():
        logits = module(pictures)
        if not logits.any():  # timm starts some heads from zero, which would compare nothing
            head = [m for m in module.modules() if isinstance(m, torch.nn.Linear)][-1]
            torch.nn.init.normal_(head.weight, std=0.05)
    module.eval()


def export(module: torch.nn.Module, traced: torch.Tensor, path: Path, exporter: str) -> None:
    """Write a file with any number of pictures."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "dynamo":
            shapes = ({0: torch.export.Dim("batch", min=1, max=64)},)
            torch.onnx.export(
                module, (traced,), path, dynamo=True, dynamic_shapes=shapes, verbose=False
            )
        else:
            torch.onnx.export(
                module,
                (traced,),
                path,
                dynamo=False,
                input_names=["pictures"],
                dynamic_axes={"pictures": {0: "batch"}},
                opset_version=17,
            )


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference divided by the largest number."""
    if not np.abs(expected).max() > 0:
        raise ValueError("all numbers are 0: there is nothing to compare")
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def gradients(scorer, module: torch.nn.Module, pictures: torch.Tensor) -> float:
    """The relative error of the gradient of a weighted sum of logits, against autograd."""
    leaf = pictures.clone().requires_grad_(True)
    logits = module(leaf)
    weights = torch.linspace(-1, 1, logits.shape[1])
    (logits * weights).sum().backward()
    x = jnp.asarray(pictures.permute(0, 2, 3, 1).numpy())
    weigh = jnp.asarray(weights.numpy())[None]
    gradient = jax.jit(jax.grad(lambda x, p: (scorer.apply(p, x) * weigh).sum()))(x, scorer.params)
    return relative(np.asarray(gradient), leaf.grad.permute(0, 2, 3, 1).numpy())


def measure(entry: Entry, exporter: str, *, differentiate: bool) -> dict:
    """Measure a network. Returns its line."""
    torch.manual_seed(0)
    module = build(entry)
    settle(module, torch.randn(8, entry.channels, entry.size, entry.size))
    pictures = torch.randn(BATCH, entry.channels, entry.size, entry.size)
    line = {
        "network": entry.name,
        "family": entry.family,
        "exporter": exporter,
        "pixels": entry.size,
    }
    with torch.no_grad():
        expected = module(pictures).numpy()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        try:
            export(module, torch.randn(TRACED, *pictures.shape[1:]), path, exporter)
        except Exception as error:  # PyTorch's own limits: named in the table
            return line | {"failed": f"PyTorch cannot export it ({type(error).__name__})"}
        try:
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            name = session.get_inputs()[0].name
            reference = session.run(None, {name: pictures.numpy()})[0]
            line["onnxruntime to PyTorch"] = relative(reference, expected)
        except Exception as error:  # onnxruntime's own limits: named in the table
            reference = None
            line["onnxruntime failed"] = type(error).__name__
        try:
            scorer = from_onnx(path, input_size=entry.size, name=entry.name)
        except UserError as error:
            return line | {"failed": str(error).split(": ", 1)[-1]}
    x = jnp.asarray(pictures.permute(0, 2, 3, 1).numpy())
    started = time.perf_counter()
    found = np.asarray(jax.jit(scorer.apply)(scorer.params, x))
    line["seconds to compile"] = round(time.perf_counter() - started, 1)
    line["to PyTorch"] = relative(found, expected)
    if reference is not None:
        line["to onnxruntime"] = relative(found, reference)
    if differentiate:
        line["gradient to autograd"] = gradients(scorer, module, pictures)
    jax.clear_caches()
    return line


def table(lines: list[dict]) -> None:
    """Write `onnx_zoo.md`."""
    rows = []
    by_network = {(line["network"], line["exporter"]): line for line in lines}
    for entry in NETWORKS:
        row = {"network": entry.name, "family": entry.family, "pixels": entry.size}
        for exporter in ("torchscript", "dynamo"):
            line = by_network.get((entry.name, exporter), {"failed": "not run"})
            for column in ("to PyTorch", "to onnxruntime"):
                value = line.get(column)
                shown = line.get("failed", "-") if value is None else f"{value:.1e}"
                row[f"{exporter}: {column}"] = shown
            if "gradient to autograd" in line:
                row["gradient to autograd"] = f"{line['gradient to autograd']:.1e}"
        row.setdefault("gradient to autograd", "")
        if any((entry.name, exporter) in by_network for exporter in ("torchscript", "dynamo")):
            rows.append(row)
    read = [line for line in lines if "to PyTorch" in line]
    within = {
        line["network"]
        for line in read
        if max(line["to PyTorch"], line.get("to onnxruntime", 0)) <= LOGITS_BAR
    }
    beyond = {line["network"] for line in read} - within
    families = {line["family"] for line in read if line["network"] in within}
    graded = [line["gradient to autograd"] for line in read if "gradient to autograd" in line]
    steep = [line["network"] for line in read if line.get("gradient to autograd", 0) > GRADIENT_BAR]
    report(
        "onnx_zoo",
        rows,
        words=f"Networks exported to ONNX with random weights and read back: largest difference "
        f"over the largest logit. {len(within)} networks of {len(families)} families are within "
        f"{LOGITS_BAR:g} of both PyTorch and onnxruntime in an exporter that works, {len(beyond)} "
        f"are not; {sum(g <= GRADIENT_BAR for g in graded)} of {len(graded)} gradients are within "
        f"{GRADIENT_BAR:g} of autograd's (beyond: {', '.join(steep) or 'none'}). "
        f"torch {torch.__version__}, "
        f"onnxruntime {onnxruntime.__version__}.",
    )


def main() -> None:
    """Measure all networks that have no line yet, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="*", help="these only")
    parser.add_argument("--exporters", nargs="*", default=["torchscript", "dynamo"])
    parser.add_argument("--table", action="store_true", help="only write the table")
    arguments = parser.parse_args()
    text = LINES.read_text(encoding="utf-8") if LINES.exists() else ""
    lines = [json.loads(line) for line in text.splitlines()]
    done = {(line["network"], line["exporter"]) for line in lines}
    seen_families = {line["family"] for line in lines if "gradient to autograd" in line}
    for exporter in () if arguments.table else arguments.exporters:
        for entry in NETWORKS:
            chosen = not arguments.networks or entry.name in arguments.networks
            if not chosen or (entry.name, exporter) in done:
                continue
            try:
                line = measure(entry, exporter, differentiate=entry.family not in seen_families)
            except Exception as error:  # one network must not end the run; named in the table
                traceback.print_exc()
                line = {"network": entry.name, "family": entry.family, "exporter": exporter}
                line |= {"pixels": entry.size, "failed": f"{type(error).__name__}: {error}"[:200]}
            if "gradient to autograd" in line:
                seen_families.add(entry.family)
            lines.append(line)
            with LINES.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
    table(lines)


if __name__ == "__main__":
    main()
