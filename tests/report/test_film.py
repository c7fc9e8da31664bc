"""Frames of films, by the colours in them, and what is written of them."""

import sys

import numpy as np
import pytest
from film_run import colour_of, write_film_run
from PIL import Image

from qd_fool.errors import UserError
from qd_fool.report import film_files
from qd_fool.report.film import class_frames, evaluations_at, wall_frames
from qd_fool.report.film_files import frame_starts, write_film
from qd_fool.runs.holders import frame_generations, holders_at, holders_of
from qd_fool.runs.load import load_archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "run"
    write_film_run(path)
    return load_archive(path)


def places(frame):
    """`{colour: first place, row after row}` of all that is not gray."""
    red, green, blue = np.moveaxis(np.asarray(frame).astype(int), 2, 0)
    codes, first = np.unique(red << 16 | green << 8 | blue, return_index=True)
    colours = [(c >> 16, c >> 8 & 255, c & 255) for c in codes.tolist()]
    output = zip(colours, first.tolist(), strict=True)
    return {colour: place for colour, place in output if max(colour) > min(colour)}


@pytest.mark.parametrize("width", [80, 340])
def test_a_wall_shows_who_holds_each_cell(archive, width):
    events = archive.events
    generations = frame_generations(events["generation"], frames=6)
    rows = holders_at(events, generations, classes=12)
    frames = list(wall_frames(archive, generations, rows, width=width))
    assert len(frames) == len(generations) == 6
    assert {frame.size for frame in frames} == {frames[0].size}
    assert all(side % 2 == 0 for side in frames[0].size)
    assert width - 60 <= frames[0].width <= width
    for frame, now in zip(frames, rows, strict=True):
        ids = events["id"][now].tolist()
        found = places(frame)
        assert set(found) == {colour_of(k) for k in ids}
        # Class after class, line after line, as they first appear.
        in_order = sorted(found, key=found.get)
        assert in_order == list(dict.fromkeys(colour_of(k) for k in ids))
    below = np.asarray(frames[0])[int(0.8 * frames[0].height) :]
    # Captions, where cells are wide enough for them.
    assert (below < 100).all(axis=2).any() == (width == 340)


def test_an_empty_cell_stays_empty(archive):
    rows = np.full((1, 12), -1)
    rows[0, 5] = 5
    (frame,) = wall_frames(archive, np.array([0]), rows, width=200)
    assert len(places(frame)) == 1


def test_a_wall_too_narrow_to_be_seen(archive):
    rows = np.full((1, 12), -1)
    with pytest.raises(UserError, match="--size is 20: expected 32 or more, for 5 columns"):
        next(wall_frames(archive, np.array([0]), rows, width=20))


def test_a_class_shows_one_after_the_other(archive):
    cell = int(np.bincount(archive.events["class_index"]).argmax())
    line = holders_of(archive.events, cell)
    frames = list(class_frames(archive, line, class_index=cell, width=99))
    assert len(frames) == len(line.id) > 2
    assert {frame.size for frame in frames} == {frames[0].size}
    assert frames[0].width == 98
    for frame, child in zip(frames, line.id.tolist(), strict=True):
        assert list(places(frame)) == [colour_of(child)]
    captions = [np.asarray(frame)[98:] for frame in frames]
    assert all((words < 100).any() for words in captions)  # black on white
    assert not np.array_equal(captions[0], captions[1])


def test_evaluations_between_logged_generations():
    metrics = {"generation": np.array([0.0, 10.0, 20.0]), "evaluations": np.array([5.0, 55, 105])}
    assert evaluations_at(metrics, np.array([0, 3, 20])) == [5, 20, 105]
    assert evaluations_at(None, np.array([1])) is None


def flat_frames(count):
    """Red, ever brighter, beside blue, ever darker."""
    for k in range(count):
        pixels = np.zeros((32, 48, 3), np.uint8)
        pixels[:, :24, 0], pixels[:, 24:, 2] = k * 255 // count, 255 - k * 255 // count
        yield Image.fromarray(pixels)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_films_of_pillow(tmp_path, suffix):
    path, again = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    for target in (path, again):
        write_film(target, flat_frames(7), count=7, seconds=2.5)
    assert path.read_bytes() == again.read_bytes()
    lasts = []
    with Image.open(path) as film:
        assert film.n_frames == 7
        for k, expected in enumerate(flat_frames(7)):
            film.seek(k)
            difference = np.abs(np.asarray(film.convert("RGB")).astype(int) - expected)
            # Lossless, or nearly so but for the edge between the colours.
            assert np.median(difference) <= (0 if suffix == ".png" else 6)
            lasts.append(film.info["duration"])
    assert sum(lasts) == 2500
    assert lasts[-1] > 1.5 * lasts[0]
    assert max(lasts[:-1]) - min(lasts[:-1]) <= 1


def test_a_film_as_mp4(tmp_path):
    av = pytest.importorskip("av", reason="MP4 needs the film extra")
    path, again = tmp_path / "a.mp4", tmp_path / "b.mp4"
    for target in (path, again):
        write_film(target, flat_frames(7), count=7, seconds=2)
    assert path.read_bytes() == again.read_bytes()
    with av.open(str(path)) as film:
        shown = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(shown) == 60
    starts = frame_starts(7, 2.0)
    for tick, pixels in enumerate(shown):
        k = int(np.searchsorted(starts, tick * 1000 / 30, side="right")) - 1
        assert abs(int(pixels[16, 8, 0]) - k * 255 // 7) < 8
        assert abs(int(pixels[16, 40, 2]) - (255 - k * 255 // 7)) < 8


def test_one_frame_is_a_film_too(tmp_path):
    for suffix in (".png", ".webp"):
        write_film(tmp_path / f"one{suffix}", flat_frames(1), count=1, seconds=1)
        with Image.open(tmp_path / f"one{suffix}") as film:
            assert film.size == (48, 32)


def test_films_that_cannot_be(tmp_path, monkeypatch):
    path = tmp_path / "a.webp"
    with pytest.raises(UserError, match="61 frames in 2 seconds are more than 30 per second"):
        write_film(path, flat_frames(61), count=61, seconds=2)
    monkeypatch.setattr(film_files, "MOST_BYTES", 10_000)
    with pytest.raises(UserError, match="3 frames of 48 x 32 pixels take 0"):
        write_film(path, flat_frames(3), count=3, seconds=2)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r'pip install "qd-fool\[film\]"'):
        film_files.load_av()
