"""The files of a run directory as tests read, change and compare them."""

import csv
import json
import shutil

import numpy as np

from qd_fool.files import read_npz


def archive(run_dir):
    return read_npz(run_dir / "archive.npz")


def record(run_dir):
    return json.loads((run_dir / "run.json").read_text())


def write_record(run_dir, run):
    (run_dir / "run.json").write_text(json.dumps(run))


def rows_of(run_dir, name):
    with (run_dir / name).open(newline="") as file:
        return list(csv.DictReader(file))


def copy_of(run_dir, path):
    """A copy, which a test may change."""
    shutil.copytree(run_dir, path)
    return path


def assert_same_arrays(a, b):
    left, right = read_npz(a), read_npz(b)
    assert set(left) == set(right)
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=f"{a.name} {name}")


def assert_same_archive(a, b):
    assert_same_arrays(a / "archive.npz", b / "archive.npz")


def assert_same_logs(a, b):
    for name in ("lineage.npz", "genomes.npz"):
        assert_same_arrays(a / name, b / name)
