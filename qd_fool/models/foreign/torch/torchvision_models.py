"""Classifiers of torchvision, `torchvision:NAME`, with what its weights state about them."""

import difflib
import hashlib
import os
import urllib.error
from pathlib import Path
from typing import Any

from qd_fool.errors import UserError
from qd_fool.models.foreign.torch.facts import Facts, Found, in_bytes
from qd_fool.models.foreign.torch.packages import import_package
from qd_fool.models.foreign.torch.state import is_random, random_weights, read_state, with_state
from qd_fool.models.labels import imagenet_labels


def find(place: str, *, name: str, weights: Path | None) -> Found:
    """Build a classifier of torchvision.

    Args:
      place: Name of the classifier, such as "resnet18".
      name: Name of the network, `torchvision:NAME`.
      weights: Local checkpoint, the word "random", the name of other weights of torchvision such
        as IMAGENET1K_V1, or None for those that torchvision recommends.

    Raises:
      UserError: There is no such classifier, or its weights are not to be had.
    """
    vision = import_package("torchvision", asker=f"--model {name}")
    models = vision.models
    known = models.list_models(module=models)
    if place not in known:
        near = difflib.get_close_matches(place, known, n=3)
        words = f"did you mean {', '.join(near)}?" if near else f"it has {', '.join(known)}"
        raise UserError(f"{name}: torchvision has no classifier {place!r}: {words}")
    entries = models.get_model_weights(place)
    entry = entries.DEFAULT
    version = f"torchvision {vision.__version__}"
    builder = models.get_model_builder(place)

    def make(classes: int | None = None) -> Any:
        # Two networks warn that their first numbers will change, unless that is chosen.
        more: dict[str, Any] = {"init_weights": True} if "init_weights" in _words(builder) else {}
        if classes is not None:
            more["num_classes"] = classes
        return models.get_model(place, weights=None, **more)

    if is_random(weights):
        origin = f"random weights for {place} of {version}"
        return Found(random_weights(make), _facts(entry, origin=origin))
    tags = [tag.name for tag in entries]
    if weights is not None and str(weights) in tags:
        entry = entries[str(weights)]
    elif weights is not None:
        if not weights.exists() and weights.suffix == "":
            raise UserError(
                f"--weights {weights}: no such file: expected a checkpoint, random, or one of "
                f"{', '.join(tags)}"
            )
        tensors, sha256 = read_state(weights)
        module = with_state(make, tensors, path=weights, name=name)
        origin = f"{weights} for {place} of {version}"
        return Found(module, _facts(entry, origin=origin, sha256=sha256))
    path = _fetched(entry.url, name=name)
    try:
        module = models.get_model(place, weights=entry, progress=False)
    except (RuntimeError, OSError) as error:  # a damaged file
        raise UserError(f"{path}: the weights of {name} cannot be read ({error})") from error
    labels = tuple(map(str, entry.meta["categories"]))
    facts = _facts(
        entry,
        origin=f"{entry.name} of {version}",
        labels=None if len(labels) == len(imagenet_labels()[1]) else labels,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    return Found(module, facts)


def _facts(entry: Any, **more: Any) -> Facts:
    """What a set of weights states about its pictures."""
    shown = entry.transforms()
    crop, resize = shown.crop_size[-1], shown.resize_size[-1]
    return Facts(
        sides=(crop, crop),
        picture=(resize, resize) if resize > crop else None,
        mean=in_bytes(shown.mean),
        std=in_bytes(shown.std),
        outputs="logits",
        **more,
    )


def _words(builder: Any) -> tuple[str, ...]:
    """The names of the arguments of the class behind a builder that set its first numbers."""
    named = {"googlenet", "inception_v3"}
    return ("init_weights",) if getattr(builder, "__name__", "") in named else ()


def _fetched(url: str, *, name: str) -> Path:
    """The file of published weights, in the cache of PyTorch.

    Raises:
      UserError: It is not there, and cannot be fetched.
    """
    hub = import_package("torch.hub", asker=f"--model {name}")
    path = Path(hub.get_dir()) / "checkpoints" / os.path.basename(url)
    if path.exists():
        return path
    try:
        hub.load_state_dict_from_url(url, progress=False, check_hash=True)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(
            f"the weights of {name} cannot be fetched ({reason}): put {path.name} into "
            f"{path.parent}, or give --weights FILE, or --weights random"
        ) from error
    return path
