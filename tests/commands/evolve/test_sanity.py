"""What is printed before a run, of noise and of photographs; and what is refused there."""

import dataclasses
import io

import numpy as np
import pytest
from command import refused
from PIL import Image

from qd_fool.commands.common.console import make_console
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.plan import plan
from qd_fool.commands.evolve.sanity import show_sanity
from qd_fool.errors import UserError


def subject_that_scores(score):
    return dataclasses.replace(plan(EvolveConfig()).subject, score=score)


def test_the_confidence_on_noise_in_words():
    def score(params, images):
        scores = np.full((len(images), 10), -5.0)
        scores[0, 3] = 3.0
        return scores

    said = io.StringIO()
    show_sanity(subject_that_scores(score), make_console(file=said))
    assert said.getvalue() == (
        "on 200 pictures of noise its highest confidence is 0.66% in the median and 95.25% at most "
        "(3)\n"
    )


@pytest.mark.parametrize(
    ("value", "output"), [(np.nan, "gives NaN or infinite"), (2.0, "is equally confident in all")]
)
def test_a_network_that_says_nothing(value, output):
    subject = subject_that_scores(lambda params, images: np.full((len(images), 10), value))
    with pytest.raises(UserError, match=output):
        show_sanity(subject, make_console())


def test_pictures_of_digits_are_no_photographs(tmp_path, capsys):
    said = refused(capsys, "evolve", "--run-dir", tmp_path / "run", "--photos", tmp_path)
    assert "lenet is no network of photographs" in said


def test_photographs_that_cannot_be_shown(tmp_path, imagenet_weights, capsys):
    weights = imagenet_weights["squeezenet1.1"]
    flags = ("evolve", "--model", "squeezenet1.1", "--weights", weights)
    flags = (*flags, "--run-dir", tmp_path / "run")
    assert "nowhere" in refused(capsys, *flags, "--photos", tmp_path / "nowhere")
    (tmp_path / "gray").mkdir()
    Image.new("L", (300, 300)).save(tmp_path / "gray" / "n02129165.jpg")
    said = refused(capsys, *flags, "--photos", tmp_path / "gray")
    assert "n02129165.jpg" in said
    assert "--convert" in said
    assert not (tmp_path / "run").exists()
