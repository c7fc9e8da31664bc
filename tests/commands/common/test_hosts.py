"""Odd hosts: streams that are closed, full or of another encoding; platforms that do not exist."""

import errno
import io
import os
import subprocess
import sys

import pytest
from command import refused

from qd_fool.commands.common.console import Forgiving, make_console
from qd_fool.commands.common.plain_text import plain_text
from qd_fool.commands.common.progress import progress_bar
from qd_fool.commands.common.reasons import reason_of
from qd_fool.errors import FieldError, UserError

FULL = "/dev/full"


LANGUAGES = "\u0939\u093f\u0928\u094d\u200d\u0926\u0940 \u8d85 \U0001f981"


class Broken(io.StringIO):
    """A terminal that is gone."""

    def write(self, text):
        raise OSError(errno.EIO, "Input/output error")

    def flush(self):
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("stream", [Broken(), io.StringIO()])
def test_lost_messages_end_nothing(stream, monkeypatch):
    if not isinstance(stream, Broken):
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    console = make_console()
    console.print("saved")
    with progress_bar(console, "generation", total=3) as bar:
        bar.update(3, last=True)
    monkeypatch.setattr(sys, "stderr", None)  # closed when the process started
    make_console().print("saved")


def test_a_stream_of_another_encoding_gets_escapes():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    Forgiving(stream).write("3 \u00d7 \udcff\n")
    stream.flush()
    assert raw.getvalue() == b"3 \\xd7 \\udcff\n"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("lion, king of beasts \u2013 100 %", "lion, king of beasts \u2013 100 %"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\rb\x9b1mc\x7f", r"a\rb\x9b1mc\x7f"),
        ("exe\u202egpj", r"exe\u202egpj"),
        ("\u2028line\u2029", r"\u2028line\u2029"),
        ("two\nlines", "two\nlines"),
        (LANGUAGES, LANGUAGES),
        ("name\udcff", r"name\udcff"),
    ],
)  # fmt: skip
def test_controls_are_shown_and_languages_kept(text, plain):
    assert plain_text(text) == plain
    said = io.StringIO()
    make_console(file=said).print(text)
    assert said.getvalue() == plain + "\n"


def test_one_sentence_stays_one_line(capsys, tmp_path):
    name = "gone\nqd-fool: all is well\x1b[0m"
    said = refused(capsys, "figure", tmp_path / name)
    assert r"gone\nqd-fool: all is well\x1b[0m is not a run directory" in said


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UserError("x is 3"), "x is 3"),
        (FieldError("batch_size", "is 0"), "--batch-size is 0"),
        (OSError(28, "No space left on device", "/a"), "/a: No space left on device"),
        (RuntimeError("Unable to initialize backend 'cup': not known\nmore"),
         "JAX finds no device: Unable to initialize backend 'cup': not known"),
        (MemoryError("9 GB"), "out of memory: a smaller --chunk, --batch-size or --image-size may "
         "help (9 GB)"),
        (KeyError("a bug"), None),
    ],
)  # fmt: skip
def test_reasons(error, reason):
    assert reason_of(error) == reason


def test_a_directory_that_is_not_utf8_is_refused_before_it_is_made(tmp_path, capsys):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/run\xff")
    said = refused(capsys, "evolve", "--run-dir", name, "--generations", 1)
    assert r"run\udcff: its name is not UTF-8" in said
    assert not list(tmp_path.iterdir())


LIST = (sys.executable, "-m", "qd_fool", "models", "list")


@pytest.mark.parametrize(
    ("environment", "redirect", "code", "words"),
    [
        ({"PYTHONIOENCODING": "ascii"}, "", 0, ""),
        pytest.param({}, ">&-", 0, "", marks=pytest.mark.long),
        pytest.param({}, ">&- 2>&-", 0, "", marks=pytest.mark.long),
        pytest.param({}, "2>/dev/full", 0, "", marks=pytest.mark.long),
        pytest.param({}, "| true; exit ${PIPESTATUS[0]}", 0, "", marks=pytest.mark.long),
        pytest.param({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "", 0, "",
                     marks=pytest.mark.long),
        pytest.param({}, ">/dev/full", 2, "No space left on device", marks=pytest.mark.long),
    ],
)  # fmt: skip
def test_results_on_odd_streams(environment, redirect, code, words):
    if FULL in redirect and not os.path.exists(FULL):
        pytest.skip("no /dev/full")
    process = subprocess.run(
        ["bash", "-c", f'"$@" {redirect}', "bash", *LIST],
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
    )
    said = process.stderr.decode()
    assert (process.returncode, "Traceback" in said) == (code, False), said
    assert words in said


@pytest.mark.long
@pytest.mark.parametrize("platform", ["gpu", "cup", "cuda"])
def test_a_platform_that_is_not_there(platform, tmp_path):
    words = ["evolve", "--generations", "1", "--run-dir", str(tmp_path / "run")]
    process = subprocess.run(
        [sys.executable, "-m", "qd_fool", *words],
        capture_output=True,
        env={**os.environ, "JAX_PLATFORMS": platform},
        check=False,
    )
    if process.returncode == 0:
        pytest.skip(f"this machine has {platform}")
    said = process.stderr.decode().splitlines()
    assert (process.returncode, len(said)) == (2, 1), said
    assert said[0].startswith(f"qd-fool: JAX_PLATFORMS is {platform}: expected devices that this")
