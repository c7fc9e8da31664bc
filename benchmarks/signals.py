"""Send signals to runs at moments spread over start, compilation, generations and writing.

Each run must be saved, or must not have begun, with the right exit code; and its resume must end
with the same bits. `signals.jsonl` gets a line per run, and the same command again continues.
"""

import argparse
import itertools
import json
import random
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

from common import report
from trials import Row, finish, same_run, sentences, start, trials

RUNS: dict[str, tuple[object, ...]] = {
    "lenet": ("evolve", "--generations", 300, "--batch-size", 50, "--chunk", 10,
              "--checkpoint-every", 50),
    "efficientnet-lite0": ("evolve", "--model", "efficientnet-lite0", "--encoding", "cppn",
                           "--generations", 5, "--batch-size", 8, "--chunk", 4),
}  # fmt: skip
"""A run of each network."""

PHASES = {"start": "", "compile": "fooling ", "run": "compiled in", "write": "writing the pict"}
"""Beginning of the line with which each phase begins."""

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")


class Watched:
    """A run whose messages are read as they come, with their times."""

    def __init__(self, *words: object) -> None:
        self.began = time.monotonic()
        self.process = start(*words, "--stop-signal", "USR1")
        self.lines: list[tuple[float, str]] = [(0.0, "")]
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append((time.monotonic() - self.began, line))

    def phase(self, name: str) -> float | None:
        """Seconds after which a phase began; None if it has not."""
        return next((t for t, line in self.lines if line.startswith(PHASES[name])), None)

    def end(self) -> str:
        """Wait for the end; all messages."""
        self.process.wait(timeout=1800)
        self._reader.join(timeout=10)
        return "".join(line for _, line in self.lines)


def main() -> int:
    """Exit code 1 unless each run ends well and resumes to the same bits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lenet", type=int, default=44, help="runs against LeNet")
    parser.add_argument("--lite0", type=int, default=16, help="runs against EfficientNet-Lite0")
    arguments = parser.parse_args()
    whole: dict[str, tuple[Path, dict[str, float]]] = {}

    def uninterrupted(network: str, folder: Path) -> tuple[Path, dict[str, float]]:
        if network not in whole:
            path = folder.with_name(f"qd-fool-signals-{network}")
            shutil.rmtree(path, ignore_errors=True)
            watched = Watched(*RUNS[network], "--run-dir", path)
            watched.end()
            times = [watched.phase(name) or 0.0 for name in PHASES]
            times.append(time.monotonic() - watched.began)
            lengths = [b - a for a, b in itertools.pairwise(times)]
            whole[network] = path, dict(zip(PHASES, lengths, strict=True))
        return whole[network]

    def measure(trial: Row, folder: Path) -> Row:
        path, lengths = uninterrupted(trial["network"], folder)
        moments = random.Random(f"{trial['network']} {trial['trial']}")
        run, phase = folder / "run", trial["phase"]
        words = [*RUNS[trial["network"]], "--run-dir", run]
        watched = Watched(*words)
        while watched.phase(phase) is None and watched.process.poll() is None:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, lengths[phase]))
        number = getattr(signal, trial["signal"])
        reached = [name for name in PHASES if watched.phase(name) is not None][-1]
        sent = time.monotonic()
        for _ in range(1 + trial["doubled"]):
            watched.process.send_signal(number)
            time.sleep(0.1)
        said = watched.end()
        seconds, code = time.monotonic() - sent, watched.process.returncode
        record = run / "run.json"
        status = json.loads(record.read_text())["status"] if record.exists() else "nothing begun"
        again = []
        if status != "finished":
            again = finish(*words, "--resume").splitlines()
        kept = [line for line in again if line.startswith(("resuming", "no checkpoint", "nothing"))]
        return {
            "reached": reached,
            "sent after": round(sent - watched.began, 2),
            "exit code": code,
            "status": status,
            "seconds to end": round(seconds, 2),
            "tracebacks": said.count("Traceback"),
            "sentences": sentences(said),
            "resumed": kept[0].split(" in ")[0] if kept else "-",
            "same bits": same_run(path, run),
        }

    phases = list(PHASES)
    wanted: list[Row] = [
        {
            "network": network,
            "trial": i,
            "phase": phases[i % 4],
            "signal": SIGNALS[i // 4 % 4],
            "doubled": int(i % 3 == 2),
        }
        for network, count in zip(RUNS, (arguments.lenet, arguments.lite0), strict=True)
        for i in range(count)
    ]
    rows = trials("signals", wanted, measure, keys=("network", "trial"))

    def good(row: Row) -> bool:
        # A signal while the last files are written changes nothing: the run is finished.
        codes = {"finished": (0,), "interrupted": (130,), "nothing begun": (130,)}
        if row["phase"] == "start":  # Python itself was starting: the system ended it
            codes["nothing begun"] = (130, -getattr(signal, row["signal"]))
        ended = row["exit code"] in codes.get(row["status"], ()) and not row["tracebacks"]
        late = "write" in (row["phase"], row.get("reached"))
        return ended and row["same bits"] and (late or row["status"] != "finished")

    right = sum(map(good, rows))
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["network"], row["phase"], row["status"]), []).append(row)
    table = [
        {"network": n, "phase": p, "outcome": s, "runs": len(found), "right": sum(map(good, found))}
        for (n, p, s), found in sorted(groups.items())
    ]
    early = sum(row["exit code"] < 0 for row in rows)
    longest = max(row["seconds to end"] for row in rows)
    report(
        "signals",
        table,
        words=f"SIGINT, SIGTERM, SIGHUP and SIGUSR1 (`--stop-signal USR1`) at {len(rows)} "
        f"moments, every third one sent twice within .1 s: {right} of {len(rows)} runs were "
        "saved, finished, or had not begun, with exit code 130 or 0, no traceback, and the bits of "
        f"an uninterrupted run after a resume. In {early} of them Python was still starting, "
        f"and the system ended it. The longest took {longest:.1f} s to end.",
    )
    return 0 if right == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
