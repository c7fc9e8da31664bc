"""Parse the words of a command line into a configuration."""

import contextlib
import io
import sys
from collections.abc import Sequence
from typing import Any

import tyro

from qd_fool.errors import UserError


def parse_words(kind: Any, words: Sequence[str], **options: Any) -> Any:
    """Parse words with tyro. A `UserError` of a configuration's checks is raised unchanged.

    tyro catches each `ValueError` of a constructor, prints its text in a box and exits. This
    function finds our error behind the exit and drops the box.

    Args:
      kind: Class of the configuration, or a union of classes.
      words: Words of the command line.
      **options: Options of `tyro.cli`.

    Raises:
      UserError: The configuration refuses a value.
      SystemExit: The words are wrong or ask for help. tyro has printed the reason.
    """
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            return tyro.cli(kind, args=list(words), **options)
    except SystemExit as stop:
        if (error := _user_error_behind(stop)) is not None:
            raise error from None
        sys.stderr.write(printed.getvalue())
        raise


def _user_error_behind(error: BaseException) -> UserError | None:
    """Return the nearest `UserError` that was being handled when an exception was raised."""
    while (context := error.__context__) is not None:
        if isinstance(context, UserError):
            return context
        error = context
    return None
