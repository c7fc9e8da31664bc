"""Everything worth knowing about this code on a GPU or TPU, in one command, ordered by worth.

Each row is a line of `accelerator.jsonl`. Rows that are there already for this device are not
measured again, and after `--minutes` no further row begins, so that the command can be cut off at
any time and goes on when it is given again. `--table` writes the table alone. On CPU the same rows
are measured with small sizes.
"""

import argparse
import datetime
import json
import tempfile
import time
import traceback
from pathlib import Path

import jax
from accelerator_rows import ROWS, Machine, accelerated
from common import HERE, machine

RESULTS = HERE / "accelerator.jsonl"


def device_name() -> str:
    """Kind and number of the devices, and the machine they are in."""
    devices = jax.devices()
    return f"{len(devices)} x {devices[0].device_kind}; {machine()}"


def records() -> list[dict[str, object]]:
    """All lines so far."""
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def measure(minutes: float, names: list[str], weights: dict[str, str], folder: Path) -> None:
    """Measure the rows that this device lacks, in order, while there is time."""
    device, started = device_name(), time.monotonic()
    done = {r["row"] for r in records() if r["device"] == device and "failed" not in r}
    facts = Machine(weights=weights, small=not accelerated(), folder=folder)
    print(f"{device}: {len(done)} rows are there", flush=True)
    for name, row in ROWS.items():
        if name in done or (names and name not in names):
            continue
        if time.monotonic() - started > 60 * minutes:
            print(f"{minutes:g} minutes are over: the same command goes on with {name!r}")
            return
        begun = time.monotonic()
        try:
            found = row(facts)
        except Exception as error:  # the other rows are still worth the device's time
            traceback.print_exc()
            found = {"failed": f"{type(error).__name__}: {error}".splitlines()[0]}
        found |= {"seconds": round(time.monotonic() - begun, 1)}
        line = {"device": device, "row": name, "date": datetime.date.today().isoformat(), **found}
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def write_table() -> None:
    """Write `accelerator.md`: a section per device, newest line per row."""
    lines = [
        "# accelerator",
        "",
        "What this code does on a device, by `python benchmarks/accelerator.py`, which measures a "
        "row at a time. Networks have random weights unless a file is named: speed does not depend "
        "on them. `of product` is the share of the floating-point operations per second of a large "
        "matrix product in float32 with full precision, by XLA's count of the operations. Ratios "
        "are those of interleaved rounds.",
        "",
    ]
    for device in dict.fromkeys(str(r["device"]) for r in records()):
        found = {str(r["row"]): r for r in records() if r["device"] == device}
        dates = sorted({str(r["date"]) for r in found.values()})
        lines += [
            f"## {device}",
            "",
            " and ".join(dates),
            "",
            "| row | found | s |",
            "|---|---|---|",
        ]
        for name in [n for n in ROWS if n in found]:
            facts = {k: v for k, v in found[name].items() if k not in ("device", "row", "date")}
            seconds = facts.pop("seconds")
            said = "; ".join(f"{key} {value}" for key, value in facts.items())
            lines.append(f"| {name} | {said} | {seconds} |")
        lines.append("")
    (HERE / "accelerator.md").write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=8, help="begin no row after so long")
    parser.add_argument("--rows", nargs="*", default=[], help="names; all by default")
    parser.add_argument(
        "--weights", nargs="*", default=[], metavar="NAME=FILE", help="weights of networks"
    )
    parser.add_argument("--table", action="store_true", help="write the table alone")
    arguments = parser.parse_args()
    if not arguments.table:
        weights = dict(word.split("=", 1) for word in arguments.weights)
        with tempfile.TemporaryDirectory() as folder:
            measure(arguments.minutes, arguments.rows, weights, Path(folder))
    write_table()


if __name__ == "__main__":
    main()
