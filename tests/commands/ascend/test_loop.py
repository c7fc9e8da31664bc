"""Blocks of targets: kept when they are done, and continued from."""

from command import DIGITS, ascend, refused
from run_files import assert_same_arrays, record, rows_of

from qd_fool.cli import main
from qd_fool.commands.ascend import loop


def test_resume_continues_to_the_same_bits_on_any_devices(digits, tmp_path, monkeypatch, capsys):
    run = tmp_path / "cut"
    real, calls = loop.ascend_block, []

    def cut_off(*args, **settings):
        calls.append(1)
        return real(*args, **settings) if len(calls) == 1 else None

    with monkeypatch.context() as patch:
        patch.setattr(loop, "ascend_block", cut_off)
        assert ascend(run, *DIGITS, "--devices", 2) == 130
    said = capsys.readouterr().err
    assert "interrupted, 10 of 20 done; continue with: qd-fool ascend --resume" in said
    before = record(run)
    assert before["status"] == "interrupted"

    # An export of what there is leaves the run as it is: to be continued.
    assert main(["export", str(run)]) == 0
    assert record(run) == before
    assert len(rows_of(run, "elites.csv")) == 5

    again = ("ascend", "--resume", "--run-dir", run)
    said = refused(capsys, *again, "--iterations", 5, "--seed", 1)
    assert "seed is 1, the run has 0" in said
    assert "iterations is 5, the run has 40" in said
    assert "is not empty" in refused(capsys, "ascend", "--run-dir", run)

    # In blocks that are cut in another way.
    assert ascend(run, "--resume", "--devices", 1, "--block", 5) == 0
    assert not (run / "blocks").exists()
    for name in ("archive.npz", "ascent.npz", "lineage.npz"):
        assert_same_arrays(digits / name, run / name)
    assert (digits / "ascent.csv").read_text() == (run / "ascent.csv").read_text()
    assert "is finished" in refused(capsys, *again)


def test_nothing_is_left_of_an_ascent_that_is_cut_off_at_once(tmp_path, monkeypatch, capsys):
    run = tmp_path / "none"
    monkeypatch.setattr(loop, "ascend_block", lambda *_, **__: None)
    assert ascend(run, *DIGITS) == 130
    assert "interrupted before any target was finished; start over with" in capsys.readouterr().err
    assert record(run)["status"] == "interrupted"
    assert not (run / "archive.npz").exists()
