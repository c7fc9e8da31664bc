"""A sentence in place of JAX's abort, where a run has lost another process.

JAX notices by itself that process 0, or by heartbeats any other, has died. It then aborts this
process from a thread of its own, at whatever point the process is. JAX has a callback for this, but
with jaxlib 0.10 none in Python: the callback's argument can't be converted, which aborts as well.
"""

import ctypes
import os
import signal
import time
from contextlib import suppress
from typing import Any

SECONDS = 10
"""Seconds that a process has to end by itself, after JAX would have aborted it."""

_handlers: list[Any] = []
"""Handlers in use, which must not be collected."""


def end_instead_of_abort(code: int, words: str) -> None:
    """Make an abort of this process wait, and then end the process with a sentence.

    The thread that aborts is held for some seconds. Meanwhile the main thread may meet the loss in
    a collective: then it saves what it has, says how to continue, and ends the process itself.

    Args:
      code: Exit code.
      words: Sentence to print.
    """
    if os.name != "posix":
        return

    def hold(_number: int) -> None:
        time.sleep(SECONDS)
        with suppress(OSError):  # the terminal may be gone
            os.write(2, f"qd-fool: {words}\n".encode())
        os._exit(code)

    # Python's own handlers only note a signal and return, and an abort would go on then.
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(hold)
    _handlers.append(handler)
    libc = ctypes.CDLL(None)
    libc.signal.restype = ctypes.c_void_p
    libc.signal(int(signal.SIGABRT), handler)
