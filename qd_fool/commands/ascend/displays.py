"""The display of an ascent's pictures as in the paper: their difference from the mean."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from qd_fool.ascent.climb import mean_picture
from qd_fool.commands.common.subject import Subject
from qd_fool.runs.elites import png_name, read_elites
from qd_fool.runs.pictures import read_image, write_image

DISPLAYS = "mean_subtracted"


def beyond_the_mean(
    picture: UInt8[np.ndarray, "height width channels"], mean: Float[np.ndarray, " channels"]
) -> UInt8[np.ndarray, "height width channels"]:
    """The difference from the mean, with 0 as middle gray, stretched to the range of bytes.

    Source: paper, figures 12-13; `saveimagescc` of the original code.
    """
    x = picture.astype(np.float64) - mean
    largest = np.abs(x).max()
    return np.round(127.5 + x * (127.5 / largest if largest else 0.0)).astype(np.uint8)


def write_displays(run_dir: Path, subject: Subject) -> None:
    """Write `mean_subtracted/` beside `elites/`, under the same names."""
    folder = run_dir / DISPLAYS
    folder.mkdir(exist_ok=True)
    channels = subject.encoding.image_shape[2]
    mean = mean_picture(subject.scorer, channels)

    def write(row: dict[str, str]) -> None:
        picture = read_image(run_dir / row["png"], channels=channels)
        name = png_name(int(row["class_index"]), row["label"])
        write_image(folder / name, beyond_the_mean(picture, mean))

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, read_elites(run_dir)))
