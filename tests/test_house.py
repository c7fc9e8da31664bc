"""The house: which room may import which, and how long a file may be.

An arrow permits everything that is reachable from its head. Imports inside functions count.
"""

import ast
from pathlib import Path

import pytest
from paths import REPOSITORY

PACKAGE = REPOSITORY / "qd_fool"
MOST_LINES = 350

ARROWS = {
    "cli": {"commands"},
    "commands": {"report", "ascent", "training", "data", "judge"},
    "report": {"judge", "runs"},
    "judge": {"map_elites"},
    "runs": {"map_elites", "encodings", "archive"},
    "map_elites": {"emitters", "encodings"},
    "emitters": {"scoring", "registry", "encodings", "archive"},
    "scoring": {"models"},
    "models": {"devices", "files", "registry", "user_files"},
    "ascent": {"scoring", "encodings"},
    "training": {"scoring"},
    "encodings": {"registry"},
    "data": {"files"},
    "devices": {"errors"},
    "files": {"errors"},
    "user_files": {"errors"},
    "registry": {"errors"},
    "archive": {"errors"},
}
"""Rooms, and those that each may import."""

GROUND = {"errors", "lazy", "choices"}
"""Modules that every room may import, and that import none."""

COMMANDS_THAT_USE_EVOLVE = {"ascend", "retrain", "export", "render"}
COMMANDS_OF_AN_AUDIT = {"evolve", "ascend", "transfer", "models"}
FACES = {"", "encodings", "emitters", "models", "map_elites"}
"""Folders whose `__init__` hands names on, each its own folder's; "" is `qd_fool` itself."""


def reachable(room: str) -> set[str]:
    """All rooms that a room may import."""
    found: set[str] = set()
    front = set(ARROWS[room])
    while front:
        found |= front
        front = set().union(*(ARROWS.get(head, set()) for head in front)) - found
    return found | GROUND


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def parts_of(path: Path) -> tuple[str, ...]:
    """`("commands", "evolve", "run")`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imports_of(path: Path) -> list[tuple[str, ...]]:
    """What a file imports from this package, as parts below `qd_fool`, wherever it does so."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides its room"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found += [tuple(name.split(".")[1:]) for name in names if name.split(".")[0] == "qd_fool"]
    return [parts for parts in found if parts]


def test_every_room_has_its_arrows():
    rooms = {parts[0] for path in modules() if (parts := parts_of(path))}
    assert rooms - {"__main__"} == set(ARROWS) | GROUND


@pytest.mark.parametrize("room", sorted(GROUND))
def test_the_ground_imports_no_room(room):
    assert not [parts for parts in imports_of(PACKAGE / f"{room}.py") if parts[0] != room]


@pytest.mark.parametrize("room", sorted(ARROWS))
def test_imports_run_one_way(room):
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {'.'.join(parts)}"
        for path in modules()
        if parts_of(path)[:1] == (room,)
        for parts in imports_of(path)
        if (PACKAGE / parts[0]).is_dir() or (PACKAGE / f"{parts[0]}.py").exists()
        if parts[0] not in reachable(room) | {room}
    ]
    assert not wrong


def test_arrows_make_no_circle():
    assert not [room for room in ARROWS if room in reachable(room)]


def test_commands_share_by_common():
    wrong = []
    for path in modules():
        parts = parts_of(path)
        if parts[:1] != ("commands",) or len(parts) < 2:
            continue
        command = parts[1]
        allowed = {command, "common", "config"}
        if command in COMMANDS_THAT_USE_EVOLVE:
            allowed.add("evolve")
        if command == "audit":
            allowed |= COMMANDS_OF_AN_AUDIT
        wrong += [
            f"{path.relative_to(PACKAGE)} imports {'.'.join(other)}"
            for other in imports_of(path)
            if other[0] == "commands" and len(other) > 1 and other[1] not in allowed
        ]
    assert not wrong


def test_only_faces_hand_names_on():
    for path in PACKAGE.rglob("__init__.py"):
        folder = ".".join(parts_of(path))
        foreign = [
            parts
            for parts in imports_of(path)
            if parts[0] != "lazy" and ".".join(parts[:-1])[: len(folder)] != folder
        ]
        assert not foreign, f"{path}: hands on names of another folder"
        if folder not in FACES:
            body = ast.parse(path.read_text(encoding="utf-8")).body
            assert len(body) <= 1, f"{path}: expected a docstring alone"


@pytest.mark.parametrize("folder", ["qd_fool", "tests", "benchmarks", "docs"])
def test_no_file_is_long(folder):
    long = {
        str(path.relative_to(REPOSITORY)): lines
        for path in (REPOSITORY / folder).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert not long


def test_tests_mirror_the_tree():
    """A folder of tests is a room of the package, or one of the repository's other folders."""
    tests = REPOSITORY / "tests"
    others = {"fixtures", "oracles", "benchmarks", "docs", "__pycache__"}
    wrong = [
        folder.relative_to(tests)
        for folder in tests.rglob("*")
        if folder.is_dir()
        and not others & set(folder.relative_to(tests).parts)
        and not (PACKAGE / folder.relative_to(tests)).is_dir()
    ]
    assert not wrong
