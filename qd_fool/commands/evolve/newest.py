"""The newest state of a run that a command reads, and the cell of a class in it."""

import numpy as np
from rich.console import Console

from qd_fool.archive import ClassArchive
from qd_fool.errors import UserError
from qd_fool.models.class_names import find_class
from qd_fool.models.network import Network
from qd_fool.runs.newest import Newest, newest_state
from qd_fool.runs.stored import StoredRun


def read_newest(run: StoredRun, *, console: Console) -> Newest:
    """The newest state of a run of any kind, which may be running.

    Prints which checkpoints are damaged, and which generation was read if the run has not ended.

    Raises:
      UserError: The run has neither a checkpoint nor an archive.npz, or they are damaged.
    """
    newest = newest_state(run)
    for problem in newest.problems:
        console.print(problem)
    if run.has_not_ended:
        console.print(run.as_of(newest.generation))
    return newest


def find_cell(scorer: Network, archive: ClassArchive, text: str) -> int:
    """The cell of the class that a text names, which must hold an elite.

    Raises:
      UserError: The text names no class or several, or the cell is empty.
    """
    names = scorer.class_names
    cell = find_class(text, names, wnids=scorer.wnids)
    if not np.asarray(archive.occupied)[cell]:
        raise UserError(f"--class {cell} ({names[cell]}) has no elite in this run")
    return cell
