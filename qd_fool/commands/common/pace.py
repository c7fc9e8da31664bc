"""The size of compiled calls, so that the host checks a run about once per second."""

SEGMENT_SECONDS = 1.0
"""Approximate wall time of a call: short enough to react to Ctrl-C and NaN scores soon, and long
enough to keep the host's share of the time small."""


def next_count(done: int, seconds: float, *, most: int) -> int:
    """The number of pieces for the next call, from the time of the last one; at least 1.

    Args:
      done: Number of pieces in the last call.
      seconds: Wall time of the last call.
      most: Highest number of pieces in a call.
    """
    return max(1, min(int(SEGMENT_SECONDS / max(seconds / done, 1e-6)), most))
