"""Classifiers in the format of transformers, `hf:REPO_OR_FOLDER`."""

import json
from pathlib import Path
from typing import Any

from qd_fool.errors import UserError
from qd_fool.models.foreign.torch.facts import Facts, Found
from qd_fool.models.foreign.torch.hub import NoSuchFile, fetch
from qd_fool.models.foreign.torch.packages import import_package, nothing_is_fetched
from qd_fool.models.foreign.torch.state import fill, is_random, random_weights, read_state

CONFIG, PROCESSOR, CARD = "config.json", "preprocessor_config.json", "README.md"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")

SEVERAL = "multi_label_classification"
"""Kind of problem in which labels hold independently of each other."""

HEAD = "ForImageClassification"
"""End of the names of classes that score pictures."""


def find(place: str, *, name: str, weights: Path | None) -> Found:
    """Build a classifier from a repository of the model hub, or from a folder with its files.

    No code of the repository is run.

    Args:
      place: Repository `OWNER/NAME`, or folder.
      name: Name of the network, `hf:PLACE`.
      weights: Local checkpoint, the word "random", or None for the repository's own.

    Raises:
      UserError: The files are not to be had, want code of their own to run, or hold no classifier.
    """
    folder = Path(place).expanduser()
    is_folder = folder.is_dir()
    if is_folder:
        nothing_is_fetched()
    elif folder.is_absolute() or place.count("/") != 1 or place.startswith("."):
        raise UserError(f"{name}: no such folder: expected a folder, or a repository OWNER/NAME")
    transformers = import_package("transformers", asker=f"--model {name}", extra="hf")

    def file(*names: str) -> Path:
        if not is_folder:
            return fetch(
                place,
                names,
                name=name,
                instead=f"put {CONFIG}, {PROCESSOR} and {WEIGHTS[0]} of it into a folder, and give "
                "--model hf:FOLDER",
            )
        for word in names:
            if (folder / word).is_file():
                return folder / word
        raise NoSuchFile(f"{name}: the folder has no {' or '.join(names)}: put it there")

    def optional(word: str) -> Path | None:
        try:
            return file(word)
        except NoSuchFile:
            return None

    # The configuration, before any class is chosen by it.
    stated = _read(file(CONFIG), name=name)
    if "auto_map" in stated:
        raise UserError(
            f"{name} wants to run code of its own (auto_map in {CONFIG}), which is refused: "
            "expected a network whose class is part of transformers"
        )
    classes = [str(word) for word in stated.get("architectures") or ()]
    if not any(word.endswith(HEAD) for word in classes):
        raise UserError(
            f"{name} has no head that scores pictures: it is {', '.join(classes) or 'unknown'}, "
            f"expected ...{HEAD}"
        )
    where = file(CONFIG).parent
    try:
        config = transformers.AutoConfig.from_pretrained(where, local_files_only=True)
        auto = transformers.AutoModelForImageClassification
        module = random_weights(lambda: auto.from_config(config))
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{name}: transformers does not take it ({reason})") from error
    sha256, origin = "", f"random weights for {place}"
    if not is_random(weights):
        path = weights if weights is not None else file(*WEIGHTS)
        tensors, sha256 = read_state(path)
        fill(module, tensors, path=path, name=name)
        origin = place if weights is None else f"{weights} for {place}"
    processor = optional(PROCESSOR)
    return Found(
        module,
        Facts(
            origin=f"{origin}, by transformers {transformers.__version__}",
            labels=_labels(config),
            licence=_licence(optional(CARD)),
            outputs="label-logits" if config.problem_type == SEVERAL else "logits",
            sha256=sha256,
            **_shown(_read(processor, name=name) if processor else {}, config),
        ),
    )


def _read(path: Path, *, name: str) -> dict[str, Any]:
    """A file of JSON.

    Raises:
      UserError: It cannot be read, or is no object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{name}: {path} cannot be read ({error})") from error
    if not isinstance(found, dict):
        raise UserError(f"{name}: {path} holds no object of JSON")
    return found


def _labels(config: Any) -> tuple[str, ...] | None:
    """The labels, unless they are only numbers, or ImageNet's."""
    names = getattr(config, "id2label", None) or {}
    labels = tuple(str(names[k]) for k in sorted(names))
    plain = all(label == f"LABEL_{k}" for k, label in enumerate(labels))
    return None if plain or len(labels) == 1000 else labels


def _licence(card: Path | None) -> str:
    """The licence that a model card states in its first lines."""
    if card is None:
        return ""
    lines = card.read_text(encoding="utf-8", errors="replace").splitlines()[:60]
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("license:")]
    return found[0] if found else ""


def _shown(processor: dict[str, Any], config: Any) -> dict[str, Any]:
    """How pictures are resized, cut and normalised, from the processor's file."""
    facts: dict[str, Any] = {}
    resized, cut = _sides(processor.get("size")), _sides(processor.get("crop_size"))
    part = processor.get("crop_pct")
    if processor.get("do_center_crop") and cut is not None:
        facts["sides"] = cut
        larger = resized is not None and min(resized) >= max(cut) and resized != cut
        facts["picture"] = resized if larger else None
    elif resized is not None and part and max(resized) < 384:  # ConvNeXT's rule
        facts["sides"] = resized
        facts["picture"] = (int(resized[0] / part), int(resized[1] / part))
    elif resized is not None:
        facts["sides"] = resized
    elif isinstance(getattr(config, "image_size", None), int):
        facts["sides"] = (config.image_size, config.image_size)
    scale = processor.get("rescale_factor", 1 / 255) if processor.get("do_rescale", True) else 1.0
    if processor.get("do_normalize", True) and processor.get("image_mean"):
        facts["mean"] = tuple(float(v) / scale for v in processor["image_mean"])
        facts["std"] = tuple(float(v) / scale for v in processor["image_std"])
    elif processor:
        facts["mean"], facts["std"] = (0.0,), (1 / scale,)
    return facts


def _sides(size: Any) -> tuple[int, int] | None:
    """Height and width that a processor states in one of its forms."""
    if isinstance(size, int):
        return size, size
    if isinstance(size, dict) and {"height", "width"} <= set(size):
        return int(size["height"]), int(size["width"])
    if isinstance(size, dict) and "shortest_edge" in size:
        return int(size["shortest_edge"]), int(size["shortest_edge"])
    return None
