"""Copy the page and the numbers of an audit out of its directory; the searches are left out.

    python archives/pack_audit.py audits/mine archives/audits/mine

Links of the page to files that are left out become plain text.
"""

import argparse
import re
import shutil
from pathlib import Path

from qd_fool.files import write_text

FILES = ("audit.html", "audit.json", "figures/fooled.png")
LINK = re.compile(r'<a href="([^"#:]+)">(.*?)</a>')


def main() -> None:
    """Make the directory; refuses one that is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("audit", type=Path, help="directory of a finished audit")
    parser.add_argument("to", type=Path, help="the directory to make")
    arguments = parser.parse_args()
    missing = [name for name in FILES if not (arguments.audit / name).is_file()]
    if missing:
        parser.error(f"{arguments.audit} has no {missing[0]}: expected a finished audit")
    if arguments.to.exists():
        parser.error(f"{arguments.to} is there already")
    for name in FILES:
        (arguments.to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(arguments.audit / name, arguments.to / name)
    page = arguments.to / "audit.html"
    text = page.read_text(encoding="utf-8")
    lines = LINK.sub(lambda link: link[0] if link[1] in FILES else _text(link[2]), text)
    write_text(page, lines.splitlines())


def _text(inner: str) -> str:
    """The content of a link: a picture stays, the name of a file is left out."""
    return inner if inner.startswith("<img") else ""


if __name__ == "__main__":
    main()
