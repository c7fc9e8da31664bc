"""The file that a command writes outside of run directories: `--out` or a default."""

from collections.abc import Sequence
from pathlib import Path

from qd_fool.errors import UserError
from qd_fool.runs.elites import png_name


def out_file(out: Path | None, *, default: str, suffixes: Sequence[str]) -> Path:
    """The path to write. A file that `--out` names is replaced; a file at the default is not.

    Args:
      out: Path from `--out`; None if it is not given.
      default: Name in the current directory, if `out` is None.
      suffixes: Allowed endings of the name, in lower case.

    Raises:
      UserError: The ending is not allowed, the folder is missing, or the default exists already.
    """
    if out is None:
        path = Path(default)
        if path.exists():
            raise UserError(f"{path} exists already: expected --out, a file to write or replace")
        return path
    if out.suffix.lower() not in suffixes:
        listed = " or ".join([", ".join(suffixes[:-1])] * bool(suffixes[:-1]) + [suffixes[-1]])
        raise UserError(f"--out {out}: expected a name that ends in {listed}")
    if out.is_dir():
        raise UserError(f"--out {out} is a folder: expected a file to write")
    if not out.parent.is_dir():
        raise UserError(f"--out {out}: its folder does not exist")
    return out


def file_stem(label: str) -> str:
    """A file name from a label: `lion` for "lion, king of beasts, Panthera leo"."""
    return png_name(0, label).removeprefix("0000_").removesuffix(".png").lower()
