import pytest

from qd_fool.errors import UserError
from qd_fool.models import load_scorer
from qd_fool.models.foreign.settings import PictureSettings, is_foreign, numbers


def test_a_foreign_network_has_a_kind_before_its_colon():
    assert is_foreign("onnx:models/a.onnx")
    assert not is_foreign("lenet")
    assert not is_foreign("onnx")
    assert not is_foreign("other:file")


def test_one_number_or_three():
    assert numbers(None, "--mean") is None
    assert numbers("127.5", "--mean") == 127.5
    assert numbers("1, 2,3", "--std") == (1.0, 2.0, 3.0)
    for text in ("1,2", "a", "mean.npy"):
        with pytest.raises(UserError, match=f"--std is {text}: expected one number, or three"):
            numbers(text, "--std")


def test_a_network_of_the_zoo_takes_no_facts_about_its_pictures():
    with pytest.raises(UserError, match="--channels bgr: the pictures of lenet are known"):
        load_scorer("lenet", picture=PictureSettings(channels="bgr"))


@pytest.mark.parametrize(
    ("name", "more", "sentence"),
    [
        ("onnx:", {}, "expected a file behind the colon"),
        ("onnx:a.onnx", {"weights": "b.npz"}, "--weights b.npz: onnx:a.onnx holds its own weights"),
        ("onnx:a.onnx", {"precision": "bfloat16"}, "is read as float32 only"),
    ],
)
def test_what_does_not_go_with_a_file_is_refused(name, more, sentence):
    with pytest.raises(UserError, match=sentence):
        load_scorer(name, **more)
