"""A round's training: the class of fooling images, taught to the first network."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree, UInt8
from rich.console import Console
from rich.progress import Progress

from qd_fool.commands.common.progress import LOG_SECONDS
from qd_fool.commands.retrain.config import RetrainConfig
from qd_fool.data.photograph_sets import PhotographSet
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.errors import UserError
from qd_fool.files import write_rows
from qd_fool.models import Scorer
from qd_fool.models.network import default_chunk
from qd_fool.models.retrained import NEW_CLASS, add_class, head_of, name_leaves, save_retrained
from qd_fool.scoring.score import ScoreFunction
from qd_fool.training.finetune import (
    FinetuneRecipe,
    batches,
    compile_steps,
    init_finetune,
    with_trained,
)

LAST_BLOCKS = ("/fire9/", "/head/", "/fc7/")
"""What `--train blocks` trains besides the last layer: SqueezeNet's last fire module,
EfficientNet-Lite's last convolution, AlexNet's last hidden layer."""


RATE = 3e-3
"""Adam's learning rate of the new class, where none is given."""


OTHERS_RATE = 1 / 30
"""That of all else that `--train blocks` trains, as a share: what is known already is not to move
far while the new class, which begins with nothing, grows."""


STEPS_AT_ONCE = 5
"""Steps whose pictures are on the devices together: 80 MB of 40 pictures a step."""


LOG = ("step", "seconds", "divergence", "cross_entropy", "agreement", "caught")


def what_learns(scorer: Scorer, train: str) -> Callable[[str], bool]:
    """Whether the array of a name learns.

    Raises:
      UserError: the network has no last layer that can be told, or no blocks to train.
    """
    learning = set(head_of(scorer.params, classes=len(scorer.class_names)))
    if train == "blocks":
        names = name_leaves(scorer.params)
        found = {name for name in names if any(part in f"/{name}" for part in LAST_BLOCKS)}
        if not found:
            raise UserError(
                f"--train blocks: {scorer.name} has none of the layers "
                f"{', '.join(part.strip('/') for part in LAST_BLOCKS)}; expected --train head"
            )
        learning |= found
    return learning.__contains__


def recipe_of(config: RetrainConfig, scorer: Scorer, *, pictures: int) -> FinetuneRecipe:
    """How long and how fast: an epoch is as many steps as show each of `pictures` once.

    Rounded up to whole blocks of `STEPS_AT_ONCE`, so that one program runs them all.
    """
    half = max(1, config.batch_size // 2)
    rate = RATE if config.learning_rate is None else config.learning_rate
    return FinetuneRecipe(
        steps=STEPS_AT_ONCE * -(-config.epochs * pictures // (half * STEPS_AT_ONCE)),
        batch_size=config.batch_size,
        learning_rate=rate,
        distillation=config.distillation,
        # Two pictures at least: a photograph and an evolved one.
        chunk=max(4, default_chunk(scorer)),
        others=0.0 if config.train == "head" else OTHERS_RATE,
    )


def teach(
    scorer: Scorer,
    photographs: UInt8[np.ndarray, "photographs height width 3"],
    evolved: UInt8[np.ndarray, "evolved height width 3"],
    config: RetrainConfig,
    *,
    console: Console,
) -> tuple[PyTree, list[dict[str, Any]]]:
    """The first network with a class more that has been trained, and a row a step of training.

    Args:
      scorer: the first network.
      photographs: to keep its answers on.
      evolved: pictures that fooled it, or those that were trained after it.
      config: how.
      console: for progress.

    Raises:
      UserError: as `what_learns`; or training that went to NaN.
    """
    params = add_class(scorer.params, classes=len(scorer.class_names))
    recipe = recipe_of(config, scorer, pictures=max(len(photographs), len(evolved)))
    state = init_finetune(params, what_learns(scorer, config.train), recipe, seed=config.seed)
    count = len(jax.local_devices())
    mesh = make_mesh(max(n for n in range(1, count + 1) if recipe.half % n == 0))
    steps = compile_steps(scorer, recipe, mesh)
    student, teacher = replicate(params, mesh), replicate(scorer.params, mesh)
    rows: list[dict[str, Any]] = []
    started = told = time.perf_counter()
    show = Progress(console=console, disable=not console.is_terminal)
    with show:
        task = show.add_task("training", total=recipe.steps)
        for images in batches(photographs, evolved, recipe, steps=STEPS_AT_ONCE, seed=config.seed):
            state, log = steps(state, student, teacher, images)
            log = jax.device_get(log)
            seconds = round(time.perf_counter() - started, 1)
            for i in range(len(images)):
                values = {name: float(getattr(log, name)[i]) for name in LOG[2:]}
                rows.append({"step": len(rows), "seconds": seconds, **values})
            show.update(task, completed=len(rows))
            if not console.is_terminal and time.perf_counter() - told > LOG_SECONDS:
                told = time.perf_counter()
                means = ", ".join(f"{name} {rows[-1][name]:.3g}" for name in LOG[2:])
                console.print(f"step {len(rows)} of {recipe.steps}: {means}", highlight=False)
            if not np.isfinite([rows[-1]["divergence"], rows[-1]["cross_entropy"]]).all():
                raise UserError(
                    f"training went to NaN at step {len(rows) - 1}: try a --learning-rate below "
                    f"{recipe.learning_rate:g}"
                )
    trained = jax.tree.map(jnp.asarray, jax.device_get(state.trained))
    return with_trained(params, trained), rows


def train_round(
    scorer: Scorer,
    photographs: PhotographSet,
    evolved: UInt8[np.ndarray, "evolved height width 3"],
    config: RetrainConfig,
    folder: Path,
    *,
    console: Console,
) -> None:
    """Write `training.csv` and then `network.safetensors`, unless they are there.

    Args:
      scorer: the first network.
      photographs: whose first part is learnt from.
      evolved: pictures of the class of fooling images.
      config: how.
      folder: of the round.
      console: for progress.

    Raises:
      UserError: as `teach`.
    """
    path = folder / "network.safetensors"
    if path.exists():
        console.print(f"{path} is there already", highlight=False, soft_wrap=True)
        return
    console.print(
        f"teaching {scorer.name} the class '{NEW_CLASS}' from {len(evolved):,} evolved pictures "
        f"and {len(photographs.train):,} photographs",
        highlight=False,
        soft_wrap=True,
    )
    folder.mkdir(parents=True, exist_ok=True)
    params, rows = teach(scorer, photographs.train, evolved, config, console=console)
    write_rows(folder / "training.csv", LOG, rows)
    save_retrained(path, params, model=scorer.name, classes=len(scorer.class_names))
    last = rows[-len(rows) // 5 - 1 :]
    caught, agreed = (np.mean([row[name] for row in last]) for name in ("caught", "agreement"))
    console.print(
        f"{len(rows)} steps in {rows[-1]['seconds']:.0f} s; in the last fifth of them {caught:.1%} "
        f"of evolved pictures are caught, {agreed:.1%} of photographs keep their class",
        highlight=False,
        soft_wrap=True,
    )


def judge(
    score: ScoreFunction,
    params: PyTree,
    photographs: PhotographSet,
    fooling: dict[str, np.ndarray],
    *,
    classes: int,
) -> dict[str, float]:
    """What a network says of photographs held out and of fooling images.

    Args:
      score: of the network.
      params: its parameters.
      photographs: whose second part is looked at.
      fooling: fooling images `(n, height, width, 3)` by what they are called.
      classes: of photographs; the class behind them, if there is one, is that of fooling images.

    Returns:
      `top1` and `top5`: shares of photographs whose class is the first choice, or among the first
      five; `taken`: share taken for fooling images; `caught_<name>`: share of fooling images that
      are. The class of fooling images takes part in all choices.
    """
    odds = score(params, photographs.held_out)
    first = np.argsort(-odds, axis=1, kind="stable")[:, :5]
    right = first == photographs.held_out_labels[:, None]
    caught = {
        f"caught_{name}": float((score(params, images).argmax(axis=1) == classes).mean())
        for name, images in fooling.items()
    }
    return {
        "top1": float(right[:, 0].mean()),
        "top5": float(right.any(axis=1).mean()),
        "taken": float((first[:, 0] == classes).mean()),
        **caught,
    }
