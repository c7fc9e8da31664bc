"""`qd-fool audit` as a command, and `qd_fool.audit`, on a function without a gradient."""

import json
import xml.etree.ElementTree as ElementTree

import jsonschema
import numpy as np
import pytest
from colours import LABELS
from command import refused

import qd_fool
from qd_fool.cli import main
from qd_fool.commands.audit import conduct, searches
from qd_fool.judge.audit.stored import SCHEMA_FILE, read_audit

FUNCTION = '''
"""A classifier of three colours: the middle of a picture decides."""

import numpy as np


def predict(pictures):
    middle = pictures[:, 8:-8, 8:-8].mean(axis=(1, 2)) / 255
    return 18 * middle - 6 * middle.sum(axis=1, keepdims=True)
'''


def audit(*words) -> int:
    return main(["audit", *map(str, words)])


@pytest.fixture(scope="module")
def words(tmp_path_factory, photo_folder):
    """The words of a small audit, without `--out`."""
    folder = tmp_path_factory.mktemp("classifier")
    (folder / "clf.py").write_text(FUNCTION, encoding="utf-8")
    (folder / "labels.txt").write_text("\n".join(LABELS), encoding="utf-8")
    name = f"python:{folder / 'clf.py'}:predict"
    return (
        "--model", name, "--input-size", 32, "--labels", folder / "labels.txt",
        "--photos", photo_folder, "--budget", 400,
    )  # fmt: skip


@pytest.fixture(scope="module")
def brief():
    """Only the direct encoding, and no pictures of other networks: little to compile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(searches.SHARES, False, {"direct": 1.0})
        patch.setattr(conduct, "REFERENCES", ())
        yield


@pytest.fixture(scope="module")
def audited(words, tmp_path_factory, brief):
    """The directory of a finished audit."""
    out = tmp_path_factory.mktemp("audits") / "first"
    assert audit(*words, "--out", out) == 0
    return out


def check_files(folder):
    """The files that an audit writes, and whether they are valid."""
    names = {path.name for path in folder.iterdir()}
    assert {"audit.json", "audit.md", "audit.html", "junit.xml", "audit.log"} <= names
    value = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    jsonschema.validate(value, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    (suite,) = ElementTree.parse(folder / "junit.xml").getroot()  # noqa: S314  # ours
    assert (suite.get("tests"), suite.get("failures")) == ("1", "0")


def check_figures(folder, methods):
    """The report agrees with the run directories."""
    report = read_audit(folder / "audit.json")
    assert report.photographs.accuracy.value == 1
    for name in methods:
        method = report.method(name)
        (search,) = method.searches
        rows = np.genfromtxt(folder / search.run / "metrics.csv", delimiter=",", names=True)
        assert search.evaluations == rows["evaluations"][-1] <= report.settings.shares[method.name]
        for threshold, first in zip((0.5, 0.9, 0.99), search.first, strict=True):
            reached = sum(confidence >= threshold for confidence in search.confidence)
            assert sum(n is not None for n in first) == reached
        # The share at .99 at each generation is that of metrics.csv.
        for row in rows:
            fooled = sum(n is not None and n <= row["evaluations"] for n in search.first[-1])
            assert fooled == row["cells_over_99"]


def test_all_files_are_there_and_valid(audited):
    check_files(audited)
    check_figures(audited, ["direct"])


def test_what_was_not_measured_is_said(audited):
    report = read_audit(audited / "audit.json")
    assert any("gives no gradient" in note for note in report.not_measured)
    assert not report.network.gradient
    text = (audited / "audit.md").read_text(encoding="utf-8")
    assert "No person has looked at the pictures" in text
    assert " safe" not in text


def test_the_same_command_again_changes_nothing(audited, words):
    before = (audited / "audit.json").read_bytes()
    times = {path: path.stat().st_mtime_ns for path in audited.glob("*/archive.npz")}
    assert audit(*words, "--out", audited) == 0
    assert (audited / "audit.json").read_bytes() == before
    assert {path: path.stat().st_mtime_ns for path in audited.glob("*/archive.npz")} == times


def test_a_failed_condition_gives_exit_code_1_and_all_files(audited, words, capsys):
    flags = ("--fail-if", "accuracy < 50%", "--fail-if", "noise@.5 >= 0")
    assert audit(*words, "--out", audited, *flags) == 1
    printed = capsys.readouterr().err
    assert "passed: accuracy < 50%" in printed
    assert "FAILED: noise@.5 >= 0" in printed
    (suite,) = ElementTree.parse(audited / "junit.xml").getroot()  # noqa: S314  # ours
    cases = {case.get("name"): case.find("failure") for case in suite}
    assert cases["accuracy < 50%"] is None
    assert "noise" in cases["noise@.5 >= 0"].get("message")
    assert "FAILED" in (audited / "audit.md").read_text(encoding="utf-8")


def test_an_audit_passes_against_itself(audited, words, capsys):
    assert audit(*words, "--out", audited, "--baseline", audited / "audit.json") == 0
    assert "passed: regression of accuracy" in capsys.readouterr().err
    assert read_audit(audited / "audit.json").method("previous") is not None


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--budget", "much"), "--budget is much: expected quick, standard, deep, or a number"),
        (("--budget", "399"), "--budget is 399: expected 400 to"),
        (("--fail-if", "accuracy = 1"), "--fail-if 'accuracy = 1': expected METRIC"),
        (("--seeds", "0"), "--seeds is 0: expected 1 to 100"),
        (("--max-regression", "2"), "--max-regression is 2.0: expected 0 to 1"),
        (("--baseline", "no.json"), "no.json: cannot be read"),
        (("--unknown", "mauve"), "--unknown 'mauve' is none of the 3 classes"),
        (("--photos", "nowhere"), "nowhere: no such directory"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(capsys, words, tmp_path, flags, sentence):
    out = tmp_path / "out"
    assert sentence in refused(capsys, "audit", *words, "--out", out, *flags)
    assert not out.exists()


def test_another_directory_and_other_settings_are_refused(capsys, words, audited, tmp_path):
    (tmp_path / "file.txt").write_text("mine", encoding="utf-8")
    assert "holds no audit" in refused(capsys, "audit", *words, "--out", tmp_path)
    message = refused(capsys, "audit", *words, "--out", audited, "--seeds", 2)
    assert "seeds is 2, the run has 1" in message


def test_a_condition_on_what_was_not_measured_is_an_error(capsys, words, audited):
    flags = ("--out", audited, "--fail-if", "gradient.fooled@.99 > 10%")
    assert "did not measure gradient.fooled@.99" in refused(capsys, "audit", *words, *flags)


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
