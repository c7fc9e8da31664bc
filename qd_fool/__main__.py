"""The program `qd-fool`, also `python -m qd_fool`: the command, quiet if stopped at its start."""

import signal
import sys

EARLY = ("SIGINT", "SIGTERM", "SIGHUP")
"""Signals that end the program while it imports the command, which then handles them itself."""


def main() -> int:
    """Import the command, which takes a moment, and run it. Returns the exit code."""
    try:
        for name in EARLY:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler)
        from qd_fool.cli import main as command
    except KeyboardInterrupt:
        sys.stderr.write("qd-fool: interrupted\n")
        return 130
    return command()


if __name__ == "__main__":
    sys.exit(main())
