"""A sentence in place of an abort, and time for the process to end by itself before."""

import subprocess
import sys

import pytest

CODE = """
import ctypes, sys, threading, time
from qd_fool.devices import abort
abort.SECONDS = {seconds}
abort.end_instead_of_abort(2, "another process has ended")
threading.Thread(target=ctypes.CDLL(None).abort, daemon=True).start()
time.sleep({busy})
print("saved", flush=True)
sys.exit(3)
"""


@pytest.mark.parametrize(
    ("seconds", "busy", "said", "code"),
    [
        (0.2, 60, "qd-fool: another process has ended\n", 2),
        (60, 0.2, "saved\n", 3),
    ],
    ids=["busy", "ends by itself"],
)
def test_an_abort_waits_and_ends_with_a_sentence(seconds, busy, said, code):
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(seconds=seconds, busy=busy)],
        capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert (done.stdout + done.stderr, done.returncode) == (said, code)
