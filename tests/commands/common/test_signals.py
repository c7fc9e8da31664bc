"""Signals as a request to stop: noted or raised, once or twice, in the main thread or another."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from command import SMALL, refused

from qd_fool.commands.common import signals
from qd_fool.commands.common.signals import numbers_of, own_signals, stop_on_signal

BOTH = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def terminal():
    """The end of a terminal counts, even where the tests run under `nohup`, which ignores it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def send(number):
    os.kill(os.getpid(), number)
    time.sleep(0.01)  # Python handles it at the next step


@pytest.mark.parametrize("number", BOTH)
def test_outside_of_a_run_the_first_signal_raises_and_its_double_does_not(number):
    before = [signal.getsignal(n) for n in BOTH]
    with own_signals() as stop:
        with pytest.raises(KeyboardInterrupt):
            send(number)
        send(number)  # within half a second: what cleans up now is not disturbed
        assert (stop.number, stop.must_quit) == (number, False)
    assert [signal.getsignal(n) for n in BOTH] == before


def test_a_run_notes_the_first_and_quits_at_the_second(monkeypatch):
    monkeypatch.setattr(signals, "TOGETHER", 0.05)
    with own_signals() as stop:
        with stop_on_signal() as inner:
            assert inner is stop
            assert not stop
            send(signal.SIGTERM)
            send(signal.SIGTERM)
            assert stop
            time.sleep(0.05)
            with pytest.raises(KeyboardInterrupt):
                send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt), stop_on_signal():
            raise AssertionError("no run begins after a signal")


def test_a_signal_after_a_run_was_saved_changes_nothing_unless_the_command_goes_on():
    """A finished run ended with exit code 130 if the signal came before the process was over."""
    with own_signals() as stop:
        with stop_on_signal():
            pass
        send(signal.SIGTERM)
        assert stop
        with pytest.raises(KeyboardInterrupt):
            stop.check()
    with own_signals() as stop:
        with stop_on_signal():
            pass
        stop.check()
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGTERM)


def test_a_run_within_other_work_leaves_its_end_to_the_work():
    with own_signals() as stop:
        with stop.deferred(words="stopping all"):
            send(signal.SIGTERM)
            with stop_on_signal() as inner:
                assert inner is stop
                assert (stop.number, stop.words) == (signal.SIGTERM, "stopping all")
            assert stop.saves
        with pytest.raises(KeyboardInterrupt):
            stop.check()


def test_a_run_without_a_command_has_signals_of_its_own():
    with stop_on_signal() as stop:
        send(signal.SIGHUP)
        assert stop.number == signal.SIGHUP


def test_in_another_thread_signals_are_left_alone():
    before, found = signal.getsignal(signal.SIGINT), []

    def work():
        with own_signals() as stop, stop_on_signal():
            found.append((bool(stop), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(False, before)]


def test_a_further_signal_and_names_of_none(capsys):
    assert numbers_of("usr1")[-1] == numbers_of("SIGUSR1")[-1] == signal.SIGUSR1
    assert numbers_of(str(int(signal.SIGUSR2)))[-1] == signal.SIGUSR2
    for name in ("NONE", "KILL", "SIGSTOP", "9", "0", "999"):
        message = f"--stop-signal {name}: expected the name of a signal"
        assert message in refused(capsys, "evolve", "--stop-signal", name)
    with own_signals(further="USR1"), stop_on_signal() as stop:
        send(signal.SIGUSR1)
        assert stop


def test_nohup_keeps_its_promise(monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_IGN)
    assert signal.SIGHUP not in numbers_of()


def until(process, words):
    """Read a command's messages up to the line that contains some words."""
    said = ""
    for line in process.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(f"{words!r} was not printed:\n{said}")


def test_ctrl_c_while_jax_compiles_ends_the_command(tmp_path):
    """It was swallowed there, and the run went on to its end with exit code 0."""
    run = tmp_path / "run"
    words = ["evolve", *SMALL, "--generations", "4000", "--run-dir", str(run)]
    # A chunk that no other test compiles, and no cache: compiling takes a while.
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    process = subprocess.Popen(
        [sys.executable, "-m", "qd_fool", *words],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    until(process, "pictures of noise")
    time.sleep(0.15)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip().splitlines()[-1] == "qd-fool: interrupted"
    assert "Traceback" not in said
    assert time.monotonic() - began < 2 * signals.GRACE + 1
    assert not (run / "run.json").exists()
