"""`qd-fool audit` on a function without a gradient, and checks of what it writes."""

import json
import xml.etree.ElementTree as ElementTree

import jsonschema
import numpy as np

from qd_fool.cli import main
from qd_fool.judge.audit.stored import SCHEMA_FILE, read_audit

FUNCTION = '''
"""A classifier of three colours: the middle of a picture decides."""

import numpy as np


def predict(pictures):
    middle = pictures[:, 8:-8, 8:-8].mean(axis=(1, 2)) / 255
    return 18 * middle - 6 * middle.sum(axis=1, keepdims=True)
'''


def audit(*words) -> int:
    return main(["audit", *map(str, words)])


def check_files(folder):
    """The files that an audit writes, and whether they are valid."""
    names = {path.name for path in folder.iterdir()}
    assert {"audit.json", "audit.md", "audit.html", "junit.xml", "audit.log"} <= names
    value = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    jsonschema.validate(value, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    (suite,) = ElementTree.parse(folder / "junit.xml").getroot()  # noqa: S314  # ours
    assert (suite.get("tests"), suite.get("failures")) == ("1", "0")


def check_figures(folder, methods):
    """The report agrees with the run directories."""
    report = read_audit(folder / "audit.json")
    assert report.photographs.accuracy.value == 1
    for name in methods:
        method = report.method(name)
        (search,) = method.searches
        rows = np.genfromtxt(folder / search.run / "metrics.csv", delimiter=",", names=True)
        assert search.evaluations == rows["evaluations"][-1] <= report.settings.shares[method.name]
        for threshold, first in zip((0.5, 0.9, 0.99), search.first, strict=True):
            reached = sum(confidence >= threshold for confidence in search.confidence)
            assert sum(n is not None for n in first) == reached
        # The share at .99 at each generation is that of metrics.csv.
        for row in rows:
            fooled = sum(n is not None and n <= row["evaluations"] for n in search.first[-1])
            assert fooled == row["cells_over_99"]
