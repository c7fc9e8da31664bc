"""The command's door: help, listings and wrong flags are answered without importing JAX."""

import subprocess
import sys

HEAVY = ("jax", "flax", "optax", "orbax", "matplotlib", "torch", "timm", "transformers", "keras")
COMMANDS = (
    ("--help",), ("evolve", "--help"), ("models",), ("models", "list", "--json"),
    *((name, "--no-such-flag") for name in ("evolve", "ascend", "retrain", "film")),
)  # fmt: skip
SCRIPT = f"""
import sys
from qd_fool.cli import main
for words in {COMMANDS}:
    try:
        code = main(list(words))
    except SystemExit as stop:
        code = stop.code
    found = [name for name in {HEAVY} if name in sys.modules]
    print(" ".join(words), code, found, file=sys.stderr)
"""


def test_what_needs_no_jax_does_not_import_it():
    """One process answers all, one after the other."""
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for words in COMMANDS:
        code = 2 if "--no-such-flag" in words else 0
        assert f"{' '.join(words)} {code} []\n" in done.stderr


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
