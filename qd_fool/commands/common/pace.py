"""How much a compiled call should do, so that the host looks at a run about once per second."""

SEGMENT_SECONDS = 1.0
"""Wall time of a call, about: Ctrl-C and NaN scores are met soon, the host seldom interrupts."""


def next_count(done: int, seconds: float, *, most: int) -> int:
    """How many pieces the next call should do, by what the last one took; 1 at least.

    Args:
      done: Pieces that the last call did.
      seconds: Wall time of the last call.
      most: Pieces that a call can do.
    """
    return max(1, min(int(SEGMENT_SECONDS / max(seconds / done, 1e-6)), most))
