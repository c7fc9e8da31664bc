"""Film files: APNG and WebP through Pillow, MP4 through PyAV, which writes frame by frame.

The same frames give the same bytes: no time and no name of the machine is written.
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
"""Most frames per second, and the frames per second of an MP4."""
MOST_BYTES = 1 << 30
"""Most bytes of all frames together, for formats where Pillow holds all frames in memory."""


def write_film(path: Path, frames: Iterable[Image.Image], *, count: int, seconds: float) -> None:
    """Write frames as a film, which shows the last frame longer than the others.

    Args:
      path: Path of the film, which ends in one of `FORMATS`.
      frames: RGB pictures of one size, both sides even.
      count: Number of frames.
      seconds: Length of the film.

    Raises:
      UserError: There are more frames than can be shown or held in memory, or the library for MP4
        is missing. All is checked before the second frame is drawn.
    """
    if count > RATE * seconds:
        raise UserError(
            f"{count} frames in {seconds:g} seconds are more than {RATE} per second: expected "
            "fewer --frames or more --seconds"
        )

    # The first frame shows how much memory all frames would take.
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
    """Return when each frame begins, and when the film ends, in whole milliseconds.

    The last frame is shown longer: by an eighth of the film's frames, at least by one frame.
    """
    steps = np.append(np.arange(count), count + max(1, round(count / 8)))
    return np.round(steps * (seconds * 1000 / steps[-1])).astype(np.int64)


def load_av() -> Any:
    """Import the library for MP4, which an extra installs.

    Raises:
      UserError: The library is not installed. The message says how to install it.
    """
    try:
        import av
    except ImportError as error:
        raise UserError(
            'an MP4 needs a library that is not installed: pip install "qd-fool[film]", or '
            "--out film.webp, which needs no library"
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
    # An MP4 has a fixed rate: each frame is repeated until the next one begins.
    av = load_av()
    starts = frame_starts(count, seconds)
    ticks = np.arange(round(seconds * RATE)) * (1000 / RATE)
    repeats = np.diff(np.searchsorted(ticks, starts))
    with av.open(str(path), "w", options={"movflags": "faststart", "fflags": "bitexact"}) as film:
        stream = film.add_stream("libx264", rate=RATE)
        stream.pix_fmt = "yuv420p"
        # Same frames, same bytes: x264's macroblock tree depends on what memory held before.
        steady = {"threads": "1", "x264-params": "mbtree=0"}
        stream.options = {"crf": "18", "preset": "medium", **steady}
        stream.width, stream.height = size
        for frame, times in zip(frames, repeats, strict=True):
            for _ in range(times):
                film.mux(stream.encode(av.VideoFrame.from_image(frame)))
        film.mux(stream.encode())
