"""Classifiers of timm, `timm:NAME`, with what its configuration states about them."""

import difflib
from pathlib import Path
from typing import Any

from qd_fool.errors import UserError
from qd_fool.models.foreign.torch.facts import Facts, Found, in_bytes
from qd_fool.models.foreign.torch.hub import fetch
from qd_fool.models.foreign.torch.packages import import_package, nothing_is_fetched
from qd_fool.models.foreign.torch.state import (
    fill,
    is_random,
    random_weights,
    read_state,
    with_state,
)

FILES = ("model.safetensors", "pytorch_model.bin")
"""Files that hold the weights of a repository, best first."""


def find(place: str, *, name: str, weights: Path | None) -> Found:
    """Build a classifier of timm.

    Args:
      place: Name of the classifier, such as "resnet18" or "resnet18.a1_in1k".
      name: Name of the network, `timm:NAME`.
      weights: Local checkpoint, the word "random", or None for timm's own.

    Raises:
      UserError: There is no such classifier, it has no head, or its weights are not to be had.
    """
    if weights is not None:
        nothing_is_fetched()
    timm = import_package("timm", asker=f"--model {name}")
    if not timm.is_model(place):
        near = difflib.get_close_matches(place, timm.list_models(), n=3)
        words = f": did you mean {', '.join(near)}?" if near else ""
        raise UserError(f"{name}: timm has no network {place!r}{words}")

    def make(classes: int | None = None) -> Any:
        more = {} if classes is None else {"num_classes": classes}
        try:
            return timm.create_model(place, pretrained=False, **more)
        except RuntimeError as error:  # no such tag
            raise UserError(f"{name}: {error}") from error

    if weights is None:
        module, sha256 = _with_own_weights(timm, place, make, name=name)
        words = "its own weights"
    elif is_random(weights):
        module, sha256, words = random_weights(make), "", "random weights"
    else:
        tensors, sha256 = read_state(weights)
        module, words = with_state(make, tensors, path=weights, name=name), str(weights)
    if not module.num_classes:
        raise UserError(f"{name} has no head: it gives features, not scores of classes")
    stated = module.pretrained_cfg
    # A checkpoint of the user's may have classes and a licence of its own.
    stated_classes = weights is None or module.num_classes == stated.get("num_classes")
    return Found(
        module,
        _facts(
            timm,
            module,
            origin=f"{words}, {place} of timm {timm.__version__}",
            sha256=sha256,
            labels=_labels(timm, module) if stated_classes else None,
            licence=str(stated.get("license") or "") if weights is None else "",
        ),
    )


def _with_own_weights(timm: Any, place: str, make: Any, *, name: str) -> tuple[Any, str]:
    """The network with the weights that timm names, and the SHA-256 of their file.

    Raises:
      UserError: timm has none, or they cannot be fetched.
    """
    module = make()
    stated = module.pretrained_cfg
    repository = stated.get("hf_hub_id")
    if not repository:
        raise UserError(
            f"{name}: timm names no weights: expected --weights FILE, or --weights random"
        )
    named = stated.get("hf_hub_filename")
    files = (named,) if named else FILES
    path = fetch(
        repository,
        files,
        name=name,
        instead=f"put {' or '.join(files)} of it on this machine and give --weights FILE, or give "
        "--weights random",
    )
    tensors, sha256 = read_state(path)
    classes = module.num_classes
    # timm knows how to turn the names of older files into its own.
    cfg = {"state_dict": tensors, "num_classes": classes}
    try:
        return timm.create_model(place, pretrained=True, pretrained_cfg_overlay=cfg), sha256
    except (RuntimeError, KeyError, ValueError):
        fill(module, tensors, path=path, name=name)  # names what does not fit
        return module, sha256


def _facts(timm: Any, module: Any, **more: Any) -> Facts:
    """What the configuration of a network states about its pictures."""
    shown = timm.data.resolve_data_config(module.pretrained_cfg)
    _, height, width = shown["input_size"]
    part = shown["crop_pct"] if shown["crop_mode"] == "center" else 1.0
    picture = (int(height / part), int(width / part))
    return Facts(
        sides=(height, width),
        picture=picture if picture != (height, width) else None,
        mean=in_bytes(shown["mean"]),
        std=in_bytes(shown["std"]),
        outputs="logits",
        **more,
    )


def _labels(timm: Any, module: Any) -> tuple[str, ...] | None:
    """Labels of the data set that a network was trained on; None for ImageNet's 1000."""
    stated = module.pretrained_cfg.get("label_names")
    if stated and len(stated) == module.num_classes:
        return tuple(map(str, stated))
    subset = timm.data.infer_imagenet_subset(module)
    if not subset or module.num_classes == 1000:
        return None
    info = timm.data.ImageNetInfo(subset)
    labels = tuple(info.label_descriptions())
    return labels if len(labels) == module.num_classes else None
