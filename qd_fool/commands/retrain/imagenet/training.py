"""Training in one round: the first network learns the class of fooling images."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import PyTree, UInt8
from rich.console import Console

from qd_fool.commands.common.progress import progress_bar
from qd_fool.commands.retrain.config import RetrainConfig
from qd_fool.data.photograph_sets import PhotographSet
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.devices.processes import ALONE, Team, decided, lost_process
from qd_fool.errors import UserError
from qd_fool.files import write_rows
from qd_fool.models import Scorer
from qd_fool.models.network import default_chunk
from qd_fool.models.retrained import NEW_CLASS, add_class, head_of, name_leaves, save_retrained
from qd_fool.scoring.score import ScoreFunction
from qd_fool.training.finetune import (
    compile_steps,
    init_finetune,
    place_state,
    with_trained,
)
from qd_fool.training.finetune_batches import FinetuneRecipe, batches, shares_of_batches

LAST_BLOCKS = ("/fire9/", "/head/", "/fc7/")
"""Blocks that `--train blocks` trains besides the last layer: SqueezeNet's last fire module,
EfficientNet-Lite's last convolution, AlexNet's last hidden layer."""


RATE = 3e-3
"""Default learning rate of Adam for the new class."""


OTHERS_RATE = 1 / 30
"""Learning rate of everything else that `--train blocks` trains, as a share of the new class's.

The weights of the new class start at zero and must change much; trained layers must not.
"""


STEPS_AT_ONCE = 5
"""Steps whose pictures are on the devices together. They take 80 MB with 40 pictures per step."""


COLUMNS = ("step", "seconds", "divergence", "cross_entropy", "agreement", "caught")


def what_learns(scorer: Scorer, train: str) -> Callable[[str], bool]:
    """A function that says whether the array of a given name is trained.

    Args:
      scorer: Network to train.
      train: "head" for the last layer, "blocks" for the last layer and the block before it.

    Raises:
      UserError: The last layer can't be found, or the network has no such blocks.
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
    """The recipe of a round. One epoch has as many steps as it takes to show each picture once.

    The number of steps is rounded up to a multiple of `STEPS_AT_ONCE`, so that one program runs
    all of them.

    Args:
      config: Settings of the retraining.
      scorer: Network to train.
      pictures: Number of photographs, or of evolved pictures if there are more.
    """
    half = max(1, config.batch_size // 2)
    rate = RATE if config.learning_rate is None else config.learning_rate
    return FinetuneRecipe(
        steps=STEPS_AT_ONCE * -(-config.epochs * pictures // (half * STEPS_AT_ONCE)),
        batch_size=config.batch_size,
        learning_rate=rate,
        distillation=config.distillation,
        # A chunk has at least two pictures: a photograph and an evolved one.
        chunk=max(4, default_chunk(scorer)),
        others=0.0 if config.train == "head" else OTHERS_RATE,
    )


def train_new_class(
    scorer: Scorer,
    config: RetrainConfig,
    *,
    photographs: UInt8[np.ndarray, "photographs height width 3"],
    evolved: UInt8[np.ndarray, "evolved height width 3"],
    mesh: Mesh,
    console: Console,
    end_if_due: Callable[[], None],
) -> tuple[PyTree, list[dict[str, Any]]]:
    """Train a new class of the first network. Returns parameters and one row per step.

    Args:
      scorer: First network.
      config: Settings of the retraining.
      photographs: Photographs on which the network should keep its answers.
      evolved: Pictures that fooled the first network, or one that was trained after it.
      mesh: Devices that share each batch.
      console: Console for progress.
      end_if_due: Function to call between steps; it raises if the command must end.

    Raises:
      UserError: The layers to train can't be found, or training went to NaN.
    """
    # The network with its new class, and the compiled steps, on all devices.
    params = add_class(scorer.params, classes=len(scorer.class_names))
    recipe = recipe_of(config, scorer, pictures=max(len(photographs), len(evolved)))
    state = init_finetune(params, what_learns(scorer, config.train), recipe, seed=config.seed)
    steps = compile_steps(scorer, recipe, mesh)
    student, teacher = replicate(params, mesh), replicate(scorer.params, mesh)
    state = place_state(state, mesh)

    # Several steps per call; one row of means per step.
    rows: list[dict[str, Any]] = []
    started = time.perf_counter()
    with progress_bar(console, "step", total=recipe.steps) as bar:
        for images in batches(photographs, evolved, recipe, steps=STEPS_AT_ONCE, seed=config.seed):
            with lost_process():
                shares = shares_of_batches(images, recipe, mesh)
                state, log = steps(state, student, teacher, shares)
                jax.block_until_ready(log)
            log = jax.device_get(log)
            seconds = round(time.perf_counter() - started, 1)
            for i in range(len(images)):
                values = {name: float(getattr(log, name)[i]) for name in COLUMNS[2:]}
                rows.append({"step": len(rows), "seconds": seconds, **values})
            end_if_due()
            bar.update(len(rows), ", ".join(f"{name} {rows[-1][name]:.3g}" for name in COLUMNS[2:]))
            if not np.isfinite([rows[-1]["divergence"], rows[-1]["cross_entropy"]]).all():
                raise UserError(
                    f"training went to NaN at step {len(rows) - 1}: try a --learning-rate below "
                    f"{recipe.learning_rate:g}"
                )
    trained = jax.tree.map(jnp.asarray, jax.device_get(state.trained))
    return with_trained(params, trained), rows


def train_round(
    scorer: Scorer,
    config: RetrainConfig,
    *,
    photographs: PhotographSet,
    evolved: UInt8[np.ndarray, "evolved height width 3"],
    folder: Path,
    console: Console,
    end_if_due: Callable[[], None],
    team: Team = ALONE,
) -> None:
    """Write `training.csv` and then `network.safetensors`, unless they exist.

    Args:
      scorer: First network.
      config: Settings of the retraining.
      photographs: Photographs; the first part of the set is trained on.
      evolved: Pictures of the class of fooling images.
      folder: Folder of the round.
      console: Console for progress.
      end_if_due: Function to call between steps; it raises if the command must end.
      team: Processes that train together; process 0 writes.

    Raises:
      UserError: The layers to train can't be found, training went to NaN, or another process has
        ended.
    """
    path = folder / "network.safetensors"
    if decided(team, path.exists()):
        console.print(f"{path} is there already")
        return
    console.print(
        f"teaching {scorer.name} the class '{NEW_CLASS}' from {len(evolved):,} evolved pictures "
        f"and {len(photographs.train):,} photographs"
    )
    params, rows = train_new_class(
        scorer,
        config,
        photographs=photographs.train,
        evolved=evolved,
        mesh=make_mesh(together=team.count > 1),
        console=console,
        end_if_due=end_if_due,
    )
    if team.leads:
        folder.mkdir(parents=True, exist_ok=True)
        write_rows(folder / "training.csv", COLUMNS, rows)
        save_retrained(path, params, model=scorer.name, classes=len(scorer.class_names))
    decided(team, 0)  # the others may read the file now
    last = rows[-len(rows) // 5 - 1 :]
    caught, agreed = (np.mean([row[name] for row in last]) for name in ("caught", "agreement"))
    console.print(
        f"{len(rows)} steps in {rows[-1]['seconds']:.0f} s; in the last fifth of them {caught:.1%} "
        f"of evolved pictures are caught, {agreed:.1%} of photographs keep their class"
    )


def accuracies(
    score: ScoreFunction,
    params: PyTree,
    *,
    photographs: PhotographSet,
    fooling: dict[str, np.ndarray],
    classes: int,
) -> dict[str, float]:
    """Shares of held-out photographs and of fooling images that a network classifies correctly.

    Args:
      score: Score function of the network.
      params: Parameters of the network.
      photographs: Photographs; the second part of the set is held out.
      fooling: Fooling images `(n, height, width, 3)`, by name.
      classes: Number of classes of photographs. The class after them, if there is one, is that of
        fooling images.

    Returns:
      `top1` and `top5`: shares of photographs whose class is the first choice, or among the first
      five; `taken`: share of photographs that are taken for fooling images; `caught_<name>`: share
      of fooling images that are taken for fooling images. The class of fooling images takes part in
      all choices.
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
