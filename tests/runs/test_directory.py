"""Files of a run directory: whole or not there, cut back on resume, never unpickled."""

import re

import numpy as np
import pytest

from qd_fool.errors import UserError
from qd_fool.files import replacing
from qd_fool.runs.directory import differences, may_resume, new_directory, read_run
from qd_fool.runs.lineage import LINEAGE, read_lineage, write_lineage
from qd_fool.runs.metrics import METRICS, append_metrics, read_metrics, truncate_metrics

EVENTS = {name: np.arange(6) for name in LINEAGE}


def row(generation):
    return dict.fromkeys(METRICS, 0) | {"generation": generation}


def test_metrics_are_cut_back_and_a_torn_line_is_dropped(tmp_path):
    append_metrics(tmp_path, [row(g) for g in range(5)])
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("5,0.1")  # what SIGKILL leaves
    assert list(read_metrics(tmp_path)["generation"]) == [0, 1, 2, 3, 4]
    truncate_metrics(tmp_path, before=3)
    append_metrics(tmp_path, [row(3)])
    assert list(read_metrics(tmp_path)["generation"]) == [0, 1, 2, 3]
    assert (tmp_path / "metrics.csv").read_text().splitlines()[0] == ",".join(METRICS)


def test_metrics_of_a_torn_number_are_dropped(tmp_path):
    append_metrics(tmp_path, [row(0)])
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write(
            ",".join(map(str, row(1).values()))
        )  # whole to look at, yet without its line end
    assert list(read_metrics(tmp_path)["generation"]) == [0]


def test_damaged_metrics_are_told(tmp_path):
    append_metrics(tmp_path, [row(0), row(1) | {"generation": "x"}, row(2)])
    with pytest.raises(UserError, match=r"metrics.csv: expected 12 numbers per line"):
        read_metrics(tmp_path)


def test_lineage_comes_back_cut(tmp_path):
    assert read_lineage(tmp_path) is None
    write_lineage(tmp_path, EVENTS)
    assert list(read_lineage(tmp_path, before=4)["id"]) == [0, 1, 2, 3]
    assert list(read_lineage(tmp_path)["id"]) == [0, 1, 2, 3, 4, 5]


def test_a_damaged_lineage_is_told(tmp_path):
    path = tmp_path / "lineage.npz"
    write_lineage(tmp_path, EVENTS)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=r"lineage.npz: expected a whole .npz"):
        read_lineage(tmp_path)
    np.savez(path, id=np.arange(3))
    with pytest.raises(UserError, match=r"expected arrays generation"):
        read_lineage(tmp_path)


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "lineage.npz", id=np.array([print], dtype=object))
    with pytest.raises(UserError, match=r"lineage.npz"):
        read_lineage(tmp_path)


def test_a_crash_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")

    def crash():
        with replacing(path) as partial:
            partial.write_text("half")
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match=r"crash"):
        crash()
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is not a run directory"),
        ("{", "expected JSON"),
        ("[]", "schema is 'list'"),
        ('{"schema": 99}', "schema is 99, this version reads 1"),
    ],
)
def test_run_json_that_cannot_be_read(tmp_path, text, message):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=message):
        read_run(tmp_path)


def test_differences_name_what_differs():
    found = differences({"seed": 1, "batch_size": 5}, {"seed": 2, "batch_size": 5})
    assert found == ["seed is 2, the run has 1"]


def test_a_new_directory_is_named_by_time_and_contents(tmp_path):
    assert new_directory(tmp_path, "lenet") == tmp_path
    made = new_directory(None, "a/b+c", None, "direct").as_posix()
    assert re.fullmatch(r"runs/\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-a_b_c-direct", made)


def test_what_a_killed_run_leaves_is_nothing_to_resume(tmp_path):
    assert not may_resume(tmp_path / "missing", resume=True)
    (tmp_path / "checkpoints").mkdir()
    for name in (".lock", ".run.partial.json", ".settings.partial.json"):
        (tmp_path / name).touch()
    assert not may_resume(tmp_path, resume=False)
    assert not may_resume(tmp_path, resume=True)


@pytest.mark.parametrize("name", ["run.json", "notes.txt", "checkpoints/generation_3"])
def test_only_resuming_enters_a_directory_that_holds_something(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert may_resume(tmp_path, resume=True)
    with pytest.raises(UserError, match="not empty: pass --resume to continue the ascent"):
        may_resume(tmp_path, resume=False, kind="ascent")
