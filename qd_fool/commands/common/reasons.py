"""Errors in one sentence for people, as far as their cause is not the program itself."""

import sys

from qd_fool.errors import FieldError, UserError
from qd_fool.files import disk_problem


def reason_of(error: Exception) -> str | None:
    """The reason of an error, in one sentence; None if it is an error of the program.

    Args:
      error: Error that ended a command.
    """
    if isinstance(error, UserError):
        return error.with_flag() if isinstance(error, FieldError) else str(error)
    if isinstance(error, OSError):  # its cause is one that no check can foresee
        return _words_of(error)
    if (full := disk_problem(error)) is not None:
        return full
    first = (str(error).splitlines() or [""])[0]
    if isinstance(error, RuntimeError) and "Unable to initialize backend" in first:
        return f"JAX finds no device: {first}"
    if _is_out_of_memory(error):
        return f"out of memory: a smaller --chunk, --batch-size or --image-size may help ({first})"
    return None


def _words_of(error: OSError) -> str:
    """An operating system's error as a sentence: the file, and what went wrong."""
    words = error.strerror or str(error)
    files = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return f"{' and '.join(files)}: {words}" if files else words


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, OverflowError | MemoryError):
        return True
    jax = sys.modules.get("jax")
    return (
        jax is not None
        and isinstance(error, jax.errors.JaxRuntimeError)
        and "RESOURCE_EXHAUSTED" in str(error)
    )
