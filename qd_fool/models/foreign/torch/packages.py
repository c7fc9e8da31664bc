"""The packages of the extras `torch` and `hf`, imported only when a network needs them."""

import importlib
import importlib.util
import os
import sys
from typing import Any

from qd_fool.errors import UserError

OFFLINE = "HF_HUB_OFFLINE"
"""Environment variable that keeps the client of the model hub from asking the network."""


def import_package(name: str, *, asker: str, extra: str = "torch") -> Any:
    """Import a package.

    Args:
      name: Name of the package.
      asker: Flag or function that needs the package, for the error.
      extra: Extra of this package that installs it.

    Raises:
      UserError: The package is not installed, or does not work with the installed PyTorch.
    """
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        raise UserError(f"{asker} needs the package {name}: pip install 'qd-fool[{extra}]'")
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError, OSError) as error:  # two builds that do not fit each other
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"{asker} needs the package {name}, which cannot be imported here ({reason}): expected "
            "builds of torch and torchvision that fit each other"
        ) from error


def nothing_is_fetched() -> None:
    """Keep the client of the model hub from asking the network, if it is not imported yet.

    Without it, a machine without a network waits for half a minute of repetitions.
    """
    if "huggingface_hub" not in sys.modules:
        os.environ.setdefault(OFFLINE, "1")
