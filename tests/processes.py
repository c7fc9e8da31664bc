"""Commands that several processes on loopback run together, for tests."""

import socket
import subprocess
import sys
import time


def begin_of(code=None):
    """Words that start the command in a process, after some Python code."""
    if code is None:
        return [sys.executable, "-m", "qd_fool"]
    text = f"import sys\nfrom qd_fool.cli import main\n{code}\nsys.exit(main())"
    return [sys.executable, "-c", text]


def start_together(*words, processes=2, each=(), code=None):
    """Processes that run one command together; process 0 comes first.

    Args:
      words: Words of the command.
      processes: Number of processes.
      each: Further words of each process.
      code: Python code to run before the command.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    together = ("--coordinator", address, "--processes", str(processes), "--process-id")
    command = [*begin_of(code), *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    further = each or [()] * processes
    return [
        subprocess.Popen([*command, *together, str(i), *further[i]], **pipes)
        for i in range(processes)
    ]


def ends(processes):
    """What each process printed, and its exit code. None outlives a test that fails here."""
    try:
        said = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()  # does nothing where it has ended
    said = [" ".join(text.split()) for text in said]  # lines are wrapped
    return list(zip(said, (process.returncode for process in processes), strict=True))


def wait_for(path):
    """Wait until a file exists."""
    deadline = time.monotonic() + 300
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def finish(*words, code=None, devices=None):
    """Run a command in one process, to its end.

    Args:
      words: Words of the command.
      code: Python code to run before the command.
      devices: Number of CPU devices; by default one per core.
    """
    if devices is not None:
        # For commands without --devices: JAX gets one device per core.
        code = f"import os\nos.sched_getaffinity = lambda _: range({devices})\n{code or ''}"
    done = subprocess.run(
        [*begin_of(code), *map(str, words)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr


def survivor(processes, dead):
    """Kill one of two processes: what the other printed, and its exit code.

    It may take a minute to end.
    """
    processes[dead].kill()
    began = time.monotonic()
    found = ends(processes)[1 - dead]
    assert time.monotonic() - began < 60
    return found
