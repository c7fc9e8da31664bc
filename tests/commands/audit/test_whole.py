"""A whole audit with all methods, and the same from Python."""

import pytest
from audit_command import FUNCTION, audit, check_figures, check_files
from colours import LABELS

import qd_fool
from qd_fool.judge.audit.stored import read_audit


@pytest.mark.long
def test_a_whole_audit_and_the_same_from_python(words, photo_folder, tmp_path):
    whole = tmp_path / "whole"
    assert audit(*words, "--out", whole) == 0
    check_files(whole)
    check_figures(whole, ["cppn", "direct"])
    command = read_audit(whole / "audit.json")
    assert [method.name for method in command.methods] == [
        "cppn", "direct", "shown-squeezenet", "shown-lite0",
    ]  # fmt: skip
    assert command.settings.shares == {"cppn": 240, "direct": 160}

    namespace: dict = {}
    exec(FUNCTION, namespace)  # noqa: S102
    network = qd_fool.from_callable(
        namespace["predict"], image_shape=(32, 32, 3), class_names=LABELS, channels="rgb"
    )
    report = qd_fool.audit(network, budget=400, photos=photo_folder, out=tmp_path / "out")
    assert report.methods == command.methods
    assert report.photographs == command.photographs
    frame = report.to_frame()
    assert frame.loc["accuracy", "value"] == 1
