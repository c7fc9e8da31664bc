"""How pictures reach a network, and whether its answers are those of the library's own scoring."""

import numpy as np
import pytest
from PIL import Image
from transfer_networks import rows_of

from qd_fool.commands.transfer.answers import show
from qd_fool.models import load_scorer
from qd_fool.runs.pictures import write_image
from qd_fool.scoring.confidence import confidence_of
from qd_fool.scoring.score import score_images


@pytest.mark.parametrize("name", ["tiny-a", "tiny-b"])
def test_answers_are_those_of_the_library(ran, finished, tiny, name):
    rows = [row for row in rows_of(ran[0]) if row["network"] == name]
    assert len(rows) == 3
    scorer = load_scorer(name, weights=tiny[name])
    for row in rows:
        pixels = np.asarray(Image.open(finished / row["image"]))[None]
        odds = score_images(scorer, pixels, crops=1, chunk=4)[0]
        target, seen = int(row["target_class"]), int(row["argmax_class"])
        assert float(row["log_odds"]) == pytest.approx(odds[target], abs=1e-4)
        assert float(row["confidence"]) == pytest.approx(confidence_of(odds[target]), abs=1e-6)
        assert seen == odds.argmax()
        assert row["argmax_label"] == scorer.class_names[seen]
        assert row["own"] == str(int(name == "tiny-a"))


def test_pictures_are_cut_pixel_for_pixel_and_enlarged_only_where_they_are_small(
    tmp_path, transfer, tiny, run_dir
):
    wide = load_scorer("tiny-wide", weights=tiny["tiny-wide"])
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (51, 60, 3), dtype=np.uint8)
    write_image(tmp_path / "0001_large.png", noise)
    np.testing.assert_array_equal(
        show(wide, tmp_path / "0001_large.png", crops=1), noise[1:49, 6:54]
    )
    write_image(tmp_path / "0001_small.png", noise[:40, :44])
    shown = show(wide, tmp_path / "0001_small.png", crops=10)
    want = Image.fromarray(noise[:40, :44]).resize((61, 56), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(shown, np.asarray(want)[:, 2:58])
    _, figures, said = transfer(run_dir, to=("tiny-wide",), crops=10)
    assert [n["images_enlarged"] for n in figures["networks"]] == [0, 3]
    assert figures["networks"][1]["enlarged_to"] == 56
    assert "3 of 3 pictures are smaller than the 48x48 input of tiny-wide" in said
    assert "run was made with 1 crops per picture, and is scored here with 10" in said
