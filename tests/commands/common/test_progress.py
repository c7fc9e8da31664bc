import io

import pytest
from rich.console import Console

from qd_fool.commands.common import progress
from qd_fool.commands.common.console import make_console
from qd_fool.commands.common.progress import progress_bar


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_every_ten_seconds_and_the_last_one(clock):
    out = io.StringIO()
    with progress_bar(make_console(file=out), "generation", total=40, done=10) as bar:
        for done in range(11, 41):
            clock[0] += 1
            bar.update(done, f"median {done / 100}", last=done == 39)
    assert out.getvalue().splitlines() == [
        "generation 20 of 40  median 0.2",
        "generation 30 of 40  median 0.3",
        "generation 39 of 40  median 0.39",
    ]


def test_tracked_items_count_when_they_are_done(clock):
    out = io.StringIO()
    with progress_bar(make_console(file=out), "frame", total=3) as bar:
        seen = []
        for item in bar.track("abc"):
            seen.append(item)
            clock[0] += 10
    assert seen == ["a", "b", "c"]
    assert out.getvalue() == "frame 1 of 3\nframe 2 of 3\nframe 3 of 3\n"


def test_a_terminal_gets_a_bar_and_no_lines(clock):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    with progress_bar(console, "[squeezenet]", total=2) as bar:
        clock[0] += 11
        bar.update(2, "[info]")
    assert "[squeezenet]" in out.getvalue()
    assert "2/2" in out.getvalue()
    assert "[info]" in out.getvalue()
    assert "2 of 2" not in out.getvalue()


def test_the_console_prints_text_as_it_is():
    out = io.StringIO()
    text = "[bold]labels[/bold] stay, 'numbers' 1.5 too, " + "and long lines are one line " * 9
    make_console(file=out).print(text)
    assert out.getvalue() == text + "\n"
