"""`qd-fool report`: the page of a run, or of two side by side."""

import contextlib
from pathlib import Path

from rich.console import Console

from qd_fool.commands.config import ReportConfig
from qd_fool.errors import UserError
from qd_fool.report.page.write import write_comparison, write_report
from qd_fool.runs.directory import InUseError, read_run, sole_user
from qd_fool.runs.newest import archive_is_behind
from qd_fool.runs.snapshot import draw_missing, drawn_words, readable

SO_FAR = "report_so_far.html"
"""Name of the page of a run that has not ended, in the directory of the run."""


def report_command(config: ReportConfig, *, console: Console) -> Path:
    """Write the page, and print its path and size.

    Raises:
      UserError: A directory is not a run, can't be written to or has no elites, or `--out` is not a
        page.
    """
    if len(config.runs) not in (1, 2):
        raise UserError(f"report: {len(config.runs)} runs given, expected one, or two to compare")
    for run in config.runs:
        read_run(run)
    out = config.out
    if out is not None:
        if out.suffix.lower() not in (".html", ".htm"):
            raise UserError(f"--out is {out}: expected a name that ends in .html")
        if not out.parent.is_dir() or out.is_dir():
            raise UserError(f"--out is {out}: expected a file in a directory that exists")
    if len(config.runs) == 1 and out is None:
        path = _write_inside(config, console)
    else:
        path = _write_elsewhere(config, out or Path("compare.html"), console)
    size = path.stat().st_size / 1e6
    console.print(f"wrote {path} ({size:.1f} MB)")
    return path


def _write_inside(config: ReportConfig, console: Console) -> Path:
    """Write the page of a run into the run's own directory."""
    run_dir = config.runs[0]
    try:
        with sole_user(run_dir):
            if not archive_is_behind(run_dir):
                drawn = draw_missing(run_dir, run_dir)
                if drawn:
                    console.print(drawn_words(drawn, run_dir))
                return write_report(run_dir, single_file=config.single_file)
    except InUseError as error:
        console.print(str(error))
    # The run is running or was killed: its own page is for its end.
    return _write_elsewhere(config, run_dir / SO_FAR, console)


def _write_elsewhere(config: ReportConfig, out: Path, console: Console) -> Path:
    """Write a page of one run or two. Nothing else is written."""
    with contextlib.ExitStack() as stack:
        sources = [stack.enter_context(readable(run)) for run in config.runs]
        for source in sources:
            if source.words:
                console.print(source.words)
        # A page of pictures that are in no run directory holds them itself.
        single_file = config.single_file or any(source.is_copy for source in sources)
        paths = [source.path for source in sources]
        if len(paths) == 1:
            return write_report(paths[0], out=out, single_file=single_file)
        first, second = map(str, config.runs)
        return write_comparison(
            paths[0], paths[1], out=out, single_file=single_file, names=(first, second)
        )
