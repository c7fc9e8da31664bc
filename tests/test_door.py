"""The command's door: help, listings and wrong flags are answered without importing JAX."""

import subprocess
import sys

import pytest

HEAVY = ("jax", "flax", "optax", "orbax", "matplotlib", "torch", "timm", "transformers", "keras")
SCRIPT = """
import sys
from qd_fool.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as stop:
    code = stop.code
found = [name for name in {heavy} if name in sys.modules]
sys.stderr.write(f"code {{code}}, imported {{found}}")
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--help",), 0),
        (("evolve", "--help"), 0),
        (("models",), 0),
        (("models", "list", "--json"), 0),
        *(((name, "--no-such-flag"), 2) for name in ("evolve", "ascend", "retrain", "film")),
    ],
    ids=str,
)
def test_what_needs_no_jax_does_not_import_it(words, code):
    command = [sys.executable, "-c", SCRIPT.format(heavy=HEAVY), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.endswith(f"code {code}, imported []")


def test_faces_hand_on_what_they_list_and_nothing_else():
    script = """
import sys, importlib
for name in ("", ".encodings", ".emitters", ".models", ".map_elites"):
    face = importlib.import_module("qd_fool" + name)
    assert "jax" not in sys.modules
for name in ("", ".encodings", ".emitters", ".models", ".map_elites"):
    face = importlib.import_module("qd_fool" + name)
    assert set(face.__all__) <= set(dir(face))
    assert all(getattr(face, word).__module__.startswith(("qd_fool", "typing"))
               for word in face.__all__ if word.islower())
    try:
        face.no_such_name
    except AttributeError as error:
        assert "no attribute 'no_such_name'" in str(error)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
