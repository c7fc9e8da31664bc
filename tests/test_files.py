import numpy as np
import pytest

from qd_fool.errors import UserError
from qd_fool.files import read_json, read_npz, write_json, write_npz, write_text


def test_json_there_and_back(tmp_path):
    write_json(tmp_path / "a.json", {"a": [1, None, "é"]})
    assert read_json(tmp_path / "a.json") == {"a": [1, None, "é"]}


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json: expected JSON in UTF-8"):
        read_json(tmp_path / "a.json")


def test_no_json_file(tmp_path):
    with pytest.raises(UserError, match=r"a\.json: cannot be read \(No such file"):
        read_json(tmp_path / "a.json")


def test_arrays_there_and_back(tmp_path):
    write_npz(tmp_path / "a.npz", {"x": np.arange(3), "y.z": np.float32(1.5)})
    arrays = read_npz(tmp_path / "a.npz")
    assert arrays["x"].tolist() == [0, 1, 2]
    assert (arrays["y.z"], arrays["y.z"].dtype) == (1.5, np.float32)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_an_array_that_cannot_be_written_leaves_the_file_as_it_was(tmp_path):
    write_npz(tmp_path / "a.npz", {"x": np.arange(3)})

    class Unready:
        def __array__(self, *_, **__):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_npz(tmp_path / "a.npz", {"x": np.arange(4), "y": Unready()})
    assert read_npz(tmp_path / "a.npz")["x"].tolist() == [0, 1, 2]


def test_lines_of_text(tmp_path):
    write_text(tmp_path / "a.md", ["one", "", "two"])
    assert (tmp_path / "a.md").read_text() == "one\n\ntwo\n"
