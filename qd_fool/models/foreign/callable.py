"""A network from a function of NumPy arrays: `from_callable`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float

from qd_fool.errors import UserError
from qd_fool.models.foreign.answers import (
    as_rows,
    called,
    check_probabilities,
    kind_of,
    noise_like,
)
from qd_fool.models.foreign.labels import class_names as names_of_classes
from qd_fool.models.foreign.outputs import OUTPUTS, is_multilabel, to_logits
from qd_fool.models.foreign.pictures import Numbers, check_choice
from qd_fool.models.foreign.view import View, read_view
from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.sides import size_of

__all__ = ["from_callable"]


def from_callable(
    function: Callable[[Any], Any],
    *,
    image_shape: tuple[int, int, int],
    class_names: str | Path | Sequence[str] | None = None,
    gradient: Callable[[Any, Any], Any] | None = None,
    outputs: str = "auto",
    layout: str = "auto",
    channels: str = "auto",
    mean: Numbers | None = None,
    std: Numbers | None = None,
    chunk: int = 50,
    name: str | None = None,
) -> HostScorer:
    """Make a network from any function that classifies pictures.

    The function is called on the host with a NumPy array of 8-bit pictures, uint8
    `(n, height, width, channels)`, and returns an array `(n, classes)`. It is shown a few pictures
    of noise at once, to learn how many numbers it returns.

    Args:
      function: The classifier. It may be called with fewer pictures than `chunk`.
      image_shape: Shape of a picture, `(height, width, channels)`, gray or RGB.
      class_names: Labels, or a file with one label per line. Default: ImageNet's for 1000 classes,
        else numbers.
      gradient: Function `(pictures, weights (n, classes)) -> (n, height, width, channels)`: the
        gradient of `(weights * function(pictures)).sum()` with respect to its pictures. Without
        it, `ascend` and the gradient emitter can't be used.
      outputs: Kind of the returned numbers: "logits", "probabilities", "label-logits",
        "label-probabilities" (each label holds or not, independently of the others), or "auto":
        probabilities if the numbers for noise add up to 1. One number per picture makes two
        classes.
      layout: Order of the axes that the function takes: "nhwc" (auto) or "nchw".
      channels: Order of the channels that the function takes: "rgb", "bgr" or "gray".
      mean: One number or one per channel, in 0..255. If mean or std is given, the function gets
        float32 `(pixel - mean) / std`, else bytes.
      std: One number or one per channel.
      chunk: Highest number of pictures per call.
      name: Name of the network. Default: that of the function.

    Returns:
      A network, as `evolve`, `ascend` and `score_images` take it.

    Raises:
      UserError: A setting is wrong, or the function fails or returns no scores of classes.
    """
    title = name if name is not None else str(getattr(function, "__name__", "function"))
    return host_scorer(
        function,
        view=read_view(
            image_shape, layout=layout, channels=channels, mean=mean, std=std, source=title
        ),
        labels=class_names,
        gradient=gradient,
        outputs=outputs,
        chunk=chunk,
        name=title,
        weights=f"a function of {getattr(function, '__module__', 'Python')}",
    )


def host_scorer(
    function: Callable[[np.ndarray], Any],
    *,
    view: View,
    labels: str | Path | Sequence[str] | None,
    gradient: Callable[[np.ndarray, np.ndarray], Any] | None,
    outputs: str,
    chunk: int,
    name: str,
    weights: str,
    file: Path | None = None,
    metadata: Mapping[str, str] = MappingProxyType({}),
    **facts: Any,
) -> HostScorer:
    """Show a function some noise, and make a network from it.

    Args:
      function: The classifier, which takes pictures as `view` says.
      view: Form of its pictures.
      labels: Labels, a file of labels, or None.
      gradient: Gradient of the classifier, or None.
      outputs: One of `OUTPUTS`.
      chunk: Highest number of pictures per call.
      name: Name of the network.
      weights: Origin of the network, for people.
      file: File that holds the function, for errors.
      metadata: Texts that may hold labels.
      **facts: Further fields of the `HostScorer`.

    Raises:
      UserError: The function fails or returns no scores of classes, or labels do not fit.
    """
    check_choice("--outputs", outputs, OUTPUTS)
    if chunk < 1:
        raise UserError(f"chunk is {chunk}: expected 1 or more")

    def ask(pictures: np.ndarray) -> Float[np.ndarray, "n numbers"]:
        found = called(lambda: function(view.enter(pictures)), name, file)
        return as_rows(found, len(pictures), source=name)

    probe = ask(noise_like(view.shape))
    count = probe.shape[1]
    kind = kind_of(probe, outputs, source=name)
    names, wnids = names_of_classes(
        labels, count=max(count, 2), metadata=metadata, binary=count == 1, source=name
    )

    def score(pictures: np.ndarray) -> Float[np.ndarray, "n numbers"]:
        rows = ask(pictures)
        if rows.shape[1] != count:
            raise UserError(f"{name} returned {rows.shape[1]} numbers per picture: it had {count}")
        check_probabilities(rows, kind, source=name)
        return rows

    def slopes(pictures: np.ndarray, weights: np.ndarray) -> np.ndarray:
        assert gradient is not None  # noqa: S101  # only called if there is one
        given = view.enter(pictures)
        found = np.asarray(called(lambda: gradient(given, np.array(weights)), name, file))
        if found.shape != given.shape or found.dtype.kind != "f":
            raise UserError(
                f"the gradient of {name} is an array of {found.dtype} {found.shape}: expected "
                f"floats {given.shape}"
            )
        return view.leave(found)

    return HostScorer(
        name=name,
        score=score,
        numbers=count,
        to_logits=to_logits("", kind, count=count, source=name),
        image_shape=view.shape,
        input_size=size_of(*view.shape[:2]),
        class_names=names,
        gradient=None if gradient is None else slopes,
        chunk=chunk,
        accelerator_chunk=chunk,
        wnids=wnids,
        weights=weights,
        mean=view.black,
        multilabel=is_multilabel("", kind, count=count),
        **facts,
    )
