"""Writing films: APNG and WebP through Pillow, MP4 through PyAV, frame by frame where it can be.

The same frames give the same bytes: nothing of the time or the machine is written.
"""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from PIL import Image

from qd_fool.errors import UserError
from qd_fool.files import replacing

FORMATS = (".png", ".webp", ".mp4")
RATE = 30
"""Frames a second at most, and those of an MP4."""
MOST_BYTES = 1 << 30
"""Of all frames together, where Pillow holds them all."""


def write_film(path: Path, frames: Iterable[Image.Image], *, count: int, seconds: float) -> None:
    """Write frames as a film, which shows the last one longer than the others.

    Args:
      path: ends in one of `FORMATS`.
      frames: `count` RGB pictures of one size, both sides even.
      count: of frames.
      seconds: from the beginning to the end.

    Raises:
      UserError: more frames than can be shown or held in memory; no library for MP4. Before the
        second frame is asked for.
    """
    if count > RATE * seconds:
        raise UserError(
            f"{count} frames in {seconds:g} seconds are more than {RATE} a second: expected "
            "fewer --frames or more --seconds"
        )
    frames = iter(frames)
    first = next(frames)
    frames = itertools.chain([first], frames)
    size = count * first.width * first.height * 3
    if path.suffix.lower() != ".mp4" and size > MOST_BYTES:
        raise UserError(
            f"{count} frames of {first.width} x {first.height} pixels take {size / 1e9:.1f} GB of "
            "memory: expected fewer --frames, a smaller --size, or --out film.mp4, which is "
            "written frame by frame"
        )
    with replacing(path) as partial:
        if path.suffix.lower() == ".mp4":
            _write_mp4(partial, frames, size=first.size, count=count, seconds=seconds)
        else:
            _write_pillow(partial, list(frames), seconds)


def frame_starts(count: int, seconds: float) -> Int[np.ndarray, " count_and_end"]:
    """When each frame begins, in whole milliseconds, and when the film ends.

    The last frame is shown for as long as an eighth of the others together, twice at least.
    """
    steps = np.append(np.arange(count), count + max(1, round(count / 8)))
    return np.round(steps * (seconds * 1000 / steps[-1])).astype(np.int64)


def load_av() -> Any:
    """The library for MP4, which is not installed unless it was asked for.

    Raises:
      UserError: it is not there; says how to get it.
    """
    try:
        import av
    except ImportError as error:
        raise UserError(
            'an MP4 needs a library that is not installed: pip install "qd-fool[film]", or '
            "--out film.webp, which does without"
        ) from error
    return av


def _write_pillow(path: Path, frames: Sequence[Image.Image], seconds: float) -> None:
    durations = np.diff(frame_starts(len(frames), seconds)).tolist()
    options: dict[str, Any] = {"quality": 90, "method": 4} if path.suffix.lower() == ".webp" else {}
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=durations, loop=0, **options
    )


def _write_mp4(
    path: Path,
    frames: Iterable[Image.Image],
    *,
    size: tuple[int, int],
    count: int,
    seconds: float,
) -> None:
    av = load_av()
    starts = frame_starts(count, seconds)
    ticks = np.arange(round(seconds * RATE)) * (1000 / RATE)
    repeats = np.diff(np.searchsorted(ticks, starts))
    with av.open(str(path), "w", options={"movflags": "faststart", "fflags": "bitexact"}) as film:
        stream = film.add_stream("libx264", rate=RATE)
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18", "preset": "medium", "threads": "1"}
        stream.width, stream.height = size
        for frame, times in zip(frames, repeats, strict=True):
            for _ in range(times):
                film.mux(stream.encode(av.VideoFrame.from_image(frame)))
        film.mux(stream.encode())
