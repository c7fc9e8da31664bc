"""`qd-fool audit` as a command, and `qd_fool.audit`, on a function without a gradient."""

import xml.etree.ElementTree as ElementTree

import pytest
from audit_command import audit, check_figures, check_files
from command import refused

from qd_fool.commands.audit import conduct, searches
from qd_fool.judge.audit.stored import read_audit


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
