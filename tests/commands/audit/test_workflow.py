"""The page about audits: its workflow, run as a shell script, and its Python."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from colours import LABELS, SIDE
from oracles.onnx_graphs import model, save
from paths import REPOSITORY
from shown import fenced, run

PAGE = REPOSITORY / "docs" / "pages" / "audit.md"
pytestmark = pytest.mark.long


def colour_model():
    """The mean of each channel decides: red, green or blue."""
    weight = np.full((3, 3), -2.0, np.float32)
    np.fill_diagonal(weight, 4.0)
    return model(
        [
            ("GlobalAveragePool", ["x"], ["means"], {}),
            ("Flatten", ["means"], ["flat"], {}),
            ("Gemm", ["flat", "weight"], ["logits"], {"transB": 1}),
        ],
        inputs={"x": ("n", 3, SIDE, SIDE)},
        outputs={"logits": ("n", 3)},
        constants={"weight": weight},
    )


def steps():
    """The steps of the workflow that the page shows."""
    (text,) = fenced(PAGE, "yaml")
    workflow = yaml.safe_load(text)
    assert workflow[True] == ["push"]  # YAML reads the key `on` as true
    return workflow["jobs"]["audit"]["steps"]


def run_steps(folder):
    """Run the shell scripts of the workflow but its installation; their exit codes by name."""
    scripts = {step["name"]: step["run"] for step in steps() if "run" in step}
    assert scripts.pop("Install").startswith("pip install ")
    program = folder / "bin" / "qd-fool"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m qd_fool.cli "$@"\n', "utf-8")
    program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    return {
        name: subprocess.run(
            ["bash", "-e", "-c", script], cwd=folder, env=environment, check=False
        ).returncode
        for name, script in scripts.items()
    }


@pytest.fixture
def checkout(tmp_path, photo_folder):
    save(colour_model(), tmp_path, "model.onnx")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS), encoding="utf-8")
    shutil.copytree(photo_folder, tmp_path / "photos")
    return tmp_path


def test_the_workflow_passes_and_leaves_what_it_uploads(checkout):
    assert run_steps(checkout) == {"Audit": 0, "Summary": 0}
    (artifact,) = [step["with"] for step in steps() if "upload" in step.get("uses", "")]
    folder = checkout / artifact["path"]
    assert (folder / "audit.html").is_file()
    summary = Path(checkout / "summary.md").read_text(encoding="utf-8")
    assert "- **passed**: `accuracy < 90%`" in summary


def test_the_workflow_fails_where_labels_are_mixed_up(checkout):
    (checkout / "labels.txt").write_text("green\nred\nblue", encoding="utf-8")
    assert run_steps(checkout) == {"Audit": 1, "Summary": 0}
    assert "**FAILED**: `accuracy < 90%`" in (checkout / "summary.md").read_text(encoding="utf-8")


def test_the_python_of_the_page_runs():
    module = run(fenced(PAGE, "python"))
    assert 0 <= module.frame.loc["cppn.fooled@.99", "value"] <= 1
