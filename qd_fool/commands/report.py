"""`qd-fool report`: the page of a run, or of two side by side."""

from pathlib import Path

from rich.console import Console

from qd_fool.commands.config import ReportConfig
from qd_fool.errors import UserError
from qd_fool.report.page.write import write_comparison, write_report
from qd_fool.runs.directory import read_run, sole_user
from qd_fool.runs.elites import png_name, read_elites
from qd_fool.runs.load import archive_pictures, load_archive
from qd_fool.runs.pictures import write_image


def report_command(config: ReportConfig, *, console: Console) -> Path:
    """Write the page, and print its path and size.

    Raises:
      UserError: A directory is not a run, is in use or has no elites, or `--out` is not a page.
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
    for run in config.runs:
        with sole_user(run):
            _draw_missing(run, console)
    if len(config.runs) == 2:
        first, second = config.runs
        path = write_comparison(
            first, second, out=out or Path("compare.html"), single_file=config.single_file
        )
    elif out is None:
        with sole_user(config.runs[0]):
            path = write_report(config.runs[0], single_file=config.single_file)
    else:
        path = write_report(config.runs[0], out=out, single_file=config.single_file)
    size = path.stat().st_size / 1e6
    console.print(f"wrote {path} ({size:.1f} MB)")
    return path


def _draw_missing(run_dir: Path, console: Console) -> None:
    """Draw the PNGs that a run directory lacks, if it has an archive."""
    missing = [row for row in read_elites(run_dir) if not (run_dir / row["png"]).exists()]
    # A name of another form may lead out of the run directory, so its row is skipped.
    cells = [
        int(row["class_index"])
        for row in missing
        if row["class_index"].isdecimal()
        and row["png"] == f"elites/{png_name(int(row['class_index']), row['label'])}"
    ]
    if not cells or not (run_dir / "archive.npz").exists():
        return
    archive = load_archive(run_dir)
    (run_dir / "elites").mkdir(exist_ok=True)
    for cell, image in zip(cells, archive_pictures(archive, cells), strict=True):
        name = png_name(cell, archive.class_names[cell])
        write_image(run_dir / "elites" / name, image)
    console.print(
        f"drew {len(cells)} pictures that {run_dir} lacked, from its genomes; a few pixels may "
        "differ from the scored ones if the run was made on another kind of machine"
    )
