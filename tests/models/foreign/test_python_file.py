"""`python:FILE.py:FUNCTION`: only a file that was named is run, and its facts and flags agree."""

import hashlib
import sys

import numpy as np
import pytest

from qd_fool.commands.common.imports import named_files
from qd_fool.errors import UserError
from qd_fool.models import load_scorer
from qd_fool.models.foreign.settings import PictureSettings
from qd_fool.user_files import import_file

SOURCE = """
import numpy as np
import qd_fool

def predict(x):
    return x.reshape(len(x), -1)[:, :3] / np.float32(2)

predict.gradient = lambda x, weights: np.zeros(x.shape, np.float32)

def broken(x):
    return {}["no such key"]

ready = qd_fool.from_callable(predict, image_shape=(5, 5, 1), class_names=("a", "b", "c"))
number = 3
"""
SIZE = PictureSettings(input_size=5, channels="gray")


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / "network_of_a_test.py"
    path.write_text(SOURCE)
    yield path
    sys.modules.pop("network_of_a_test", None)


def test_files_are_found_among_the_words():
    words = ["transfer", "r", "--to", "python:a.py:f", "--to=python:b.py:g", "--import", "a.py"]
    assert [str(path) for path in named_files(words)] == ["a.py", "b.py"]


def test_a_file_that_no_command_has_named_is_not_run(file):
    with pytest.raises(UserError, match=f"only a command line that names it .*--import {file}"):
        load_scorer(f"python:{file}:predict", picture=SIZE)


def test_functions_and_finished_networks_are_read(file):
    import_file(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    names = (("predict", SIZE, "class 0"), ("ready", None, "a"))
    for word, picture, first in names:
        name = f"python:{file}:{word}"
        scorer = load_scorer(name, picture=picture)
        assert (scorer.name, scorer.weights, scorer.weights_sha256) == (name, file.name, digest)
        assert (scorer.image_shape, scorer.class_names[0]) == ((5, 5, 1), first)
    assert load_scorer(f"python:{file}:predict", picture=SIZE).gradient is not None
    assert scorer.score(np.zeros((2, 5, 5, 1), np.uint8)).shape == (2, 3)


@pytest.mark.parametrize(
    ("word", "picture", "sentence"),
    [
        ("predict", None, "how large are its pictures"),
        ("predict", PictureSettings(input_size=5, output="y"), "a function returns one array"),
        ("absent", SIZE, "it has predict, broken"),
        ("number", SIZE, "is a int: expected a function"),
        ("ready", SIZE, "--input-size 5: .* states its facts"),
        ("broken", SIZE, "broken failed, line 11: KeyError: 'no such key'"),
        ("", SIZE, "expected python:FILE.py:FUNCTION"),
    ],
)
def test_what_does_not_fit_is_one_sentence(file, word, picture, sentence):
    import_file(file)
    with pytest.raises(UserError, match=sentence):
        load_scorer(f"python:{file}:{word}", picture=picture)
