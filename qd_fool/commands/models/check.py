"""`qd-fool models check`: a network's accuracy on photographs."""

import json
import sys

import numpy as np
from rich.console import Console

from qd_fool.commands.common.networks import load_network
from qd_fool.commands.common.progress import progress_bar
from qd_fool.commands.config import CheckModel
from qd_fool.data.photographs import class_of, list_photographs, read_photographs
from qd_fool.errors import UserError
from qd_fool.models.network import default_chunk
from qd_fool.scoring.bad import is_bad
from qd_fool.scoring.confidence import confidence_of
from qd_fool.scoring.score import SCORE_AT_ONCE, score_function

BATCH = SCORE_AT_ONCE


def check_model(action: CheckModel, *, console: Console, errors: Console, as_json: bool) -> None:
    """Print how often the network's top classes are the photographs' classes.

    Args:
      action: Network and photographs.
      console: Standard output, for the result.
      errors: Standard error, for progress.
      as_json: Whether to print a line of JSON.

    Raises:
      UserError: The network does not have ImageNet's classes, or a photograph cannot be read.
    """
    scorer = load_network(action.name, action)
    if not scorer.wnids:
        raise UserError(
            f"{action.name} does not have ImageNet's classes: its accuracy on photographs cannot "
            "be measured"
        )
    paths = list_photographs(action.images)
    classes = [class_of(path, scorer.wnids) for path in paths]
    score = score_function(scorer, crops=action.crops, chunk=default_chunk(scorer))
    batches = read_photographs(
        paths, side=scorer.image_shape[:2], convert=action.convert, batch=BATCH
    )
    ranks, confidences = [], []
    with progress_bar(errors, "photograph", total=len(paths), transient=True) as bar:
        for i, batch in enumerate(batches):
            n = len(batch)
            scores = score(scorer.params, batch)
            if is_bad(scores).any():
                raise UserError(f"{scorer.name} ({scorer.weights}) gives NaN or infinite scores")
            labels = np.asarray(classes[i * BATCH : i * BATCH + n])
            right = scores[np.arange(n), labels]
            # Ties count against the network, so that constant scores have no accuracy.
            ranks.append((scores >= right[:, None]).sum(axis=1) - 1)
            confidences.append(confidence_of(right))
            bar.advance(n)
    rank, confidence = np.concatenate(ranks), np.concatenate(confidences)
    facts = {
        "model": action.name,
        "weights": scorer.weights,
        "weights_sha256": scorer.weights_sha256,
        "precision": action.precision,
        "crops": action.crops,
        "photographs": len(paths),
        "top1": round(float((rank < 1).mean()), 4),
        "top5": round(float((rank < 5).mean()), 4),
        "mean_confidence": round(float(confidence.mean()), 4),
    }
    if as_json:
        sys.stdout.write(json.dumps(facts) + "\n")
        return
    console.print(
        f"{action.name} ({scorer.weights}) on {len(paths)} photographs of {action.images}: "
        f"top-1 {facts['top1']:.1%}, top-5 {facts['top5']:.1%}, mean confidence in the right class "
        f"{facts['mean_confidence']:.1%}"
    )
