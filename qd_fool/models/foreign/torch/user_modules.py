"""A module from a user's code: `torch:FILE.py:FUNCTION`, or `torch:MODULE:FUNCTION`."""

import hashlib
import importlib
import sys
from pathlib import Path
from typing import Any

from qd_fool.errors import UserError
from qd_fool.models.foreign.answers import called
from qd_fool.models.foreign.settings import NAMED, file_of
from qd_fool.models.foreign.torch.facts import Facts, Found
from qd_fool.models.foreign.torch.packages import import_package
from qd_fool.models.foreign.torch.state import (
    fill,
    is_random,
    random_weights,
    read_state,
    sha256_of_state,
)
from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.scorer import Scorer
from qd_fool.user_files import imported_file


def find(place: str, *, name: str, weights: Path | None) -> Found | HostScorer | Scorer:
    """Call a user's function, which returns a module.

    Args:
      place: `FILE.py:FUNCTION` or `MODULE:FUNCTION`. FUNCTION may also be a module of PyTorch, or a
        network, as `from_torch` makes it.
      name: Name of the network.
      weights: Local checkpoint, or None. Random weights are drawn from the same seed each time.

    Raises:
      UserError: The code was not run, has no such function, or the function fails.
    """
    torch = import_package("torch", asker=f"--model {name}")
    file = file_of(name)
    code = _imported(place, file, name=name)
    word = place.rpartition(":")[2]
    made = getattr(code, word, None)
    if made is None:
        names = [n for n, value in vars(code).items() if callable(value) and n[0] != "_"]
        raise UserError(f"{name}: there is no {word!r}: there is {', '.join(names) or 'nothing'}")
    if isinstance(made, HostScorer | Scorer):
        if weights is not None:
            raise UserError(f"--weights {weights}: {name} holds its own weights")
        return made
    if not isinstance(made, torch.nn.Module):
        if not callable(made):
            raise UserError(f"{name} is a {type(made).__name__}: expected a function")
        function = made
        made = called(lambda: random_weights(function), name, file)
    if weights is not None and not is_random(weights):
        tensors, _ = read_state(weights)
        fill(made, tensors, path=weights, name=name)
    origin = Path(str(getattr(code, "__file__", place)))
    words = origin.name if weights is None else f"{origin.name} with {weights}"
    return Found(made, Facts(origin=words, sha256=_sha256(origin, made)))


def _imported(place: str, file: Path | None, *, name: str) -> Any:
    """The file or module, which only a command line that names it runs."""
    if file is not None:
        code = imported_file(file)
        if code is None:
            raise UserError(
                f"{file} is code, and only a command line that names it runs it: give --model "
                f"{name}, or --import {file}"
            )
        return code
    word = place.rpartition(":")[0]
    if name in NAMED:
        try:
            return importlib.import_module(word)
        except Exception as error:  # any error of the user's code is the user's mistake
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(f"--model {name}: {word} cannot be imported ({reason})") from error
    if word not in sys.modules:
        raise UserError(
            f"{word} is code, and only a command line that names it runs it: give --model {name}"
        )
    return sys.modules[word]


def _sha256(origin: Path, module: Any) -> str:
    """The SHA-256 of the code and of the numbers."""
    code = origin.read_bytes() if origin.is_file() else b""
    return hashlib.sha256(code + sha256_of_state(module).encode()).hexdigest()
