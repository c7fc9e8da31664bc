"""A network that PyTorch runs on its own device, between JAX's ask and tell.

JAX cuts and normalises the pictures. PyTorch gets the same memory: what JAX calls rows, columns and
channels is what PyTorch calls `channels_last`, so no number moves.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from qd_fool.errors import UserError
from qd_fool.models.foreign.answers import as_rows, called

AT_ONCE = 16
"""Pictures whose gradients a CPU computes at once. More are slower, and need more memory."""

Numbers = Float[np.ndarray, "n numbers"]


class TorchRunner:
    """A module, as functions of pictures that JAX hands over.

    Attributes:
      module: Module in eval mode, with its numbers in the order `channels_last`.
      device: Device of its parameters.
    """

    def __init__(self, torch: Any, module: Any, *, output: str | None, name: str) -> None:
        self._torch, self.module, self._output, self._name = torch, module, output, name
        module.eval()
        module.to(memory_format=torch.channels_last)
        first = next((p for p in module.parameters() if p.is_floating_point()), None)
        self.device = torch.device("cpu") if first is None else first.device
        self._dtype = torch.float32 if first is None else first.dtype
        self._writes = False

    def hand(self, array: jax.Array) -> Any:
        """Return a tensor with the memory of an array, on the device of the module.

        Args:
          array: Pictures `(crops, n, height, width, channels)`.
        """
        return self._torch.from_dlpack(array).to(self.device, self._dtype)

    def look(self, pictures: Any) -> None:
        """Notice whether the module writes into its pictures, which are JAX's memory.

        Args:
          pictures: Tensor `(n, height, width, channels)` that may be overwritten.
        """
        before = pictures._version
        with self._torch.no_grad():
            self._called(lambda: self._forward(pictures))
        self._writes = pictures._version != before

    def score(self, pictures: Any) -> Numbers:
        """Return the numbers of pictures.

        Args:
          pictures: Tensor `(n, height, width, channels)`.

        Raises:
          UserError: The module fails, or returns no scores of classes.
        """
        with self._torch.inference_mode():
            found = self._called(lambda: self._forward(pictures))
            rows = found.float().cpu().numpy()
        return as_rows(rows, len(pictures), source=self._name)

    def gradient(self, pictures: Any, weights: np.ndarray) -> np.ndarray:
        """Return the gradient of `sum(weights * score(pictures))`.

        Args:
          pictures: Tensor `(n, height, width, channels)`.
          weights: Array `(n, numbers)`.

        Raises:
          UserError: The module fails, or has no gradient.
        """
        torch = self._torch
        at_once = AT_ONCE if self.device.type == "cpu" else len(pictures)

        def slopes(start: int) -> Any:
            x = pictures[start : start + at_once].detach().requires_grad_(True)
            found = self._forward(x)
            share = torch.tensor(weights[start : start + at_once]).to(found.device, found.dtype)
            return torch.autograd.grad(found, x, share.reshape(found.shape))[0]

        with self._frozen():
            starts = range(0, len(weights), at_once)
            parts = [self._called(functools.partial(slopes, start)) for start in starts]
        return torch.cat(parts).float().cpu().numpy()

    @contextlib.contextmanager
    def _frozen(self) -> Iterator[None]:
        """Gradients of pictures only: those of the parameters would cost time and memory."""
        learning = [p for p in self.module.parameters() if p.requires_grad]
        for parameter in learning:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in learning:
                parameter.requires_grad_(True)

    def _forward(self, pictures: Any) -> Any:
        """What the module returns for pictures, as one tensor."""
        x = pictures.permute(0, 3, 1, 2)
        found = self.module(x.clone() if self._writes else x)
        return one_tensor(self._torch, found, self._output, source=self._name)

    def _called(self, call: Callable[[], Any]) -> Any:
        return called(call, self._name, None)


def one_tensor(torch: Any, found: Any, output: str | None, *, source: str) -> Any:
    """The tensor of scores among what a module returns.

    Args:
      torch: The package torch.
      found: A tensor, or several by name or in order.
      output: Name of the tensor to read, or None.
      source: Name of the network, for errors.

    Raises:
      UserError: There are several, and none is chosen, or there is none.
    """
    if torch.is_tensor(found) and output is None:
        return found
    named = dict(found) if isinstance(found, Mapping) else {}
    if not named and isinstance(found, (tuple, list)):
        fields = getattr(found, "_fields", range(len(found)))
        named = {str(key): value for key, value in zip(fields, found, strict=True)}
    tensors = {key: value for key, value in named.items() if torch.is_tensor(value)}
    word = output if output is not None else ("logits" if "logits" in tensors else None)
    if word is None and len(tensors) == 1:
        word = next(iter(tensors))
    if word in tensors:
        return tensors[word]
    names = ", ".join(tensors) or f"a {type(found).__name__}"
    if output is not None:
        raise UserError(f"--output {output}: the outputs of {source} are {names}")
    raise UserError(f"{source} returns {names}: choose one with --output NAME")
