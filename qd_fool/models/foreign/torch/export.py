"""A module of PyTorch that JAX runs: exported to ONNX, read back, and compared."""

import copy
import dataclasses
import tempfile
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from qd_fool.errors import UserError
from qd_fool.models.foreign.answers import noise_like
from qd_fool.models.foreign.onnx.load import in_jax as read_onnx
from qd_fool.models.foreign.onnx.picture import Picture
from qd_fool.models.foreign.onnx.protobuf import import_onnx
from qd_fool.models.foreign.torch.module import one_tensor
from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.scorer import Scorer
from qd_fool.models.sides import sides_of

FARTHEST = 1e-4
"""Largest difference of a number from PyTorch's, as a part of the largest number."""

OPSET = 17
"""Version of the operators that the older of the two exporters writes."""


def in_jax(
    torch: Any,
    module: Any,
    host: HostScorer,
    picture: Picture,
    *,
    outputs: str,
    output: str | None,
    origin: str,
) -> Scorer:
    """Turn a module into a network that JAX runs, and compare the two.

    Args:
      torch: The package torch.
      module: Module in eval mode.
      host: The network that PyTorch runs.
      picture: Input of the module.
      outputs: Kind of the numbers, which is known.
      output: Name of the output to read, or None.
      origin: Origin of the weights, for people.

    Raises:
      UserError: The module cannot be exported or read back, or its numbers differ.
    """
    import_onnx()
    plain = _plain(torch, module, output, source=host.name)
    problems = []
    for export in (_by_trace, _by_graph):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "module.onnx"
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # about what tracing leaves out
                    export(torch, plain, torch.zeros(2, picture.depth, *picture.sides), path)
                native = _read(path, host, picture, outputs)
            except UserError as error:
                problems.append(str(error).replace(str(path), host.name))
                continue
            except Exception as error:  # exporters raise errors of many types
                problems.append(" ".join(f"{type(error).__name__}: {error}".split())[:200])
                continue
        difference = _difference(native, host, outputs)
        if difference <= FARTHEST:
            return dataclasses.replace(
                native,
                weights=f"{origin}, in JAX by way of ONNX (numbers differ by {difference:.1e})",
            )
        problems.append(
            f"its numbers in JAX differ from PyTorch's by {difference:.1e} of the largest: "
            f"expected at most {FARTHEST:.0e}"
        )
    raise UserError(f"{host.name}: JAX does not take it ({'; '.join(problems)}): --engine torch")


def _plain(torch: Any, module: Any, output: str | None, *, source: str) -> Any:
    """A copy of a module on the CPU that returns one tensor."""

    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            copied = copy.deepcopy(module).to("cpu", torch.float32)
            self.module = copied.to(memory_format=torch.contiguous_format)

        def forward(self, pictures: Any) -> Any:
            return one_tensor(torch, self.module(pictures), output, source=source)

    return Plain().eval()


def _read(path: Path, host: HostScorer, picture: Picture, outputs: str) -> Scorer:
    """The network in a file, with the facts of the network on the host."""
    read = read_onnx(
        path,
        labels=host.class_names,
        input_size=host.input_size,
        layout="nchw",
        channels=picture.channels,
        mean=picture.mean,
        std=picture.std,
        outputs=outputs,
        output=None,
        name=host.name,
    )
    same = ("image_shape", "class_names", "wnids", "weights_sha256", "mean", "multilabel")
    facts: dict[str, Any] = {name: getattr(host, name) for name in same}
    return dataclasses.replace(read, **facts)


def _difference(native: Scorer, host: HostScorer, outputs: str) -> float:
    """The largest difference of logits for noise, as a part of the largest logit.

    For networks that end in probabilities, it is the largest difference of probabilities.
    """
    noise = noise_like((*sides_of(host.input_size), host.image_shape[2]))
    prepared = host.hand(jax.jit(host.prepare)(noise))
    run = jax.jit(lambda p, x: native.apply(p, native.preprocess(x.astype(jnp.float32))))
    found = run(native.params, noise)
    expected = host.to_logits(jnp.asarray(host.score(prepared)))
    if outputs.endswith("probabilities"):
        kind = jax.nn.sigmoid if host.multilabel else jax.nn.softmax
        return float(jnp.abs(kind(found) - kind(expected)).max())
    return float(jnp.abs(found - expected).max() / jnp.abs(expected).max())


def _by_trace(torch: Any, module: Any, pictures: Any, path: Path) -> None:
    torch.onnx.export(
        module,
        (pictures,),
        str(path),
        dynamo=False,
        input_names=["pictures"],
        output_names=["numbers"],
        dynamic_axes={"pictures": {0: "n"}, "numbers": {0: "n"}},
        opset_version=OPSET,
    )


def _by_graph(torch: Any, module: Any, pictures: Any, path: Path) -> None:
    shapes = ({0: torch.export.Dim("n", min=1, max=4096)},)
    torch.onnx.export(
        module, (pictures,), str(path), dynamo=True, dynamic_shapes=shapes, verbose=False
    )
