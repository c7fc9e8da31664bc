"""Users' files and packages are imported only if they are named, and they are recorded."""

import hashlib
import importlib.metadata
import json
import sys

import pytest
from command import SMALL, evolve, refused

from qd_fool.cli import main
from qd_fool.commands.common.imports import import_differences, named_files
from qd_fool.emitters.table import EMITTERS
from qd_fool.user_files import import_file

PLAIN = '''
import dataclasses
from qd_fool.emitters import register_emitter
from qd_fool.emitters.variation import variation
from qd_fool.emitters import VariationSettings

@dataclasses.dataclass(frozen=True)
class HopSettings:
    """Settings.

    Attributes:
      far: Distance of a hop.
    """
    far: int = 3

@register_emitter("hop", settings=HopSettings)
def hop(settings, encoding, scorer, crops):
    return variation(VariationSettings(), encoding, scorer, crops)
'''


@pytest.fixture
def hop(tmp_path, monkeypatch):
    """A file that registers an emitter, forgotten again after the test."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / "hop_of_a_test.py"
    path.write_text(PLAIN)
    yield path
    forget()


def forget():
    sys.modules.pop("hop_of_a_test", None)
    EMITTERS._table.pop("hop", None)


def test_files_are_found_among_the_words():
    words = ["evolve", "--import", "a.py", "--seed", "1", "--import=b.py", "--import"]
    assert [str(path) for path in named_files(words)] == ["a.py", "b.py"]


def test_a_file_is_imported_once(hop, capsys):
    assert import_file(hop) is import_file(hop.parent / "." / hop.name)
    assert "hop" in EMITTERS
    with pytest.raises(SystemExit):
        main(["evolve", "--import", str(hop), "--help"])
    assert "--hop-far" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["evolve", "score", "models", "render", "retrain"])
@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("x = 1\nx = (\n", "bad.py, line 2: '(' was never closed"),
        ("\n\n1 / 0\n", "bad.py, line 3: ZeroDivisionError: division by zero"),
        ("import no_such_module\n", "bad.py, line 1: ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", "bad.py, line 1: SystemExit: 3"),
        (
            "import dataclasses\nfrom qd_fool.emitters import register_emitter\n"
            "s = dataclasses.make_dataclass('S', [], frozen=True)\n"
            "register_emitter('gradient', settings=s)(print)\n",
            "bad.py, line 4: emitter 'gradient' is registered already",
        ),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path, capsys, monkeypatch, command, text, output):
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / "bad.py"
    path.write_text(text)
    assert output in refused(capsys, command, "--import", path)


def test_a_missing_file_is_one_sentence(capsys):
    assert refused(capsys, "figure", "--import=no.py") == "qd-fool: --import no.py: no such file"


def test_a_run_names_its_file_and_never_imports_it(hop, tmp_path, capsys):
    run = tmp_path / "run"
    flags = ("--emitters", "hop", "--import", hop)
    assert evolve(run, *SMALL, *flags, "--generations", 0) == 0
    record = json.loads((run / "run.json").read_text())
    sha256 = hashlib.sha256(hop.read_bytes()).hexdigest()
    assert record["imports"] == [{"path": str(hop), "sha256": sha256}]
    assert record["config"]["hop_far"] == 3
    forget()
    again = ("evolve", "--resume", "--run-dir", run)
    wanted = f"this run used {hop} (sha256 {sha256[:12]}...): give --import {hop}"
    assert f"unknown emitter 'hop'; {wanted}" in refused(capsys, *again)
    assert f"unknown emitter 'hop'; {wanted}" in refused(capsys, "export", run)
    assert "hop" not in EMITTERS
    assert main(list(map(str, (*again, "--import", hop)))) == 0
    forget()
    hop.write_text(PLAIN + "# changed\n")
    output = refused(capsys, *again, "--import", hop)
    assert f"the run has {sha256[:12]}..." in output


def test_a_file_of_another_name_and_the_same_content_is_the_same(tmp_path):
    run = {"imports": [{"path": "a.py", "sha256": hashlib.sha256(b"x").hexdigest()}]}
    for name, content, differs in (("b.py", "x", 0), ("a.py", "x", 0), ("a.py", "y", 1)):
        (tmp_path / name).write_text(content)
        assert len(import_differences(run, [tmp_path / name])) == differs
    assert import_differences(run, []) == []


def test_packages_offer_modules_by_entry_points(hop, capsys, monkeypatch):
    point = importlib.metadata.EntryPoint("hop", "hop_of_a_test", "qd_fool")
    monkeypatch.syspath_prepend(hop.parent)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: [point])
    with pytest.raises(SystemExit):
        main(["evolve", "--help"])
    assert "--hop-far" in capsys.readouterr().out
    forget()
    hop.write_text("1 / 0")
    output = refused(capsys, "models")
    assert (
        "its entry point 'hop' of the group qd_fool cannot be loaded (ZeroDivisionError" in output
    )
