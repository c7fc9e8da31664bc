"""The file that a command writes outside of run directories: `--out`, or a name that tells."""

from collections.abc import Sequence
from pathlib import Path

from qd_fool.errors import UserError
from qd_fool.runs.elites import png_name


def out_file(out: Path | None, *, default: str, suffixes: Sequence[str]) -> Path:
    """Where to write. A file that `--out` names is replaced; one of the default name is not.

    Args:
      out: as given.
      default: a name in the current directory, where nothing is given.
      suffixes: that a name may end in, lower case.

    Raises:
      UserError: another ending, no such folder, or something is in the way.
    """
    if out is None:
        path = Path(default)
        if path.exists():
            raise UserError(f"{path} exists already: --out says where to write, or to replace it")
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
    """`lion`, of "lion, king of beasts, Panthera leo": safe in a file's name."""
    return png_name(0, label).removeprefix("0000_").removesuffix(".png").lower()
