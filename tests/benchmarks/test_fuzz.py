"""What the fuzzer has found stays found: only `UserError` comes out of a reader."""

import contextlib
import importlib.util
import random
import sys
import types

import pytest
from paths import BENCHMARKS, FIXTURES

pytest.importorskip("onnx", reason="onnx is not installed")

MOST_BYTES = 20_000
"""Size of the largest finding that is kept."""


def module(name):
    """A module of the benchmarks, under its own name."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


readers, changes = module("fuzz_readers"), module("fuzz_changes")
CORPUS = sorted((FIXTURES / "fuzz").glob("*/*"))


def read(name, path, data):
    """Read a file as the fuzzer does; an error that is not a sentence passes through."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    with contextlib.suppress(*readers.EXPECTED):
        readers.READERS[name].read(path)


@pytest.mark.parametrize("finding", CORPUS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_findings_are_sentences_now(finding, tmp_path):
    name = finding.parent.name
    assert finding.stat().st_size <= MOST_BYTES
    read(name, tmp_path / "run" / readers.READERS[name].name, finding.read_bytes())


QUICK = ("caffemodel", "binaryproto", "pth-legacy", "npz", "safetensors", "answers", "labels",
         "audit.json", "graph", "metrics.csv", "elites.csv", "lineage.npz")  # fmt: skip


@pytest.mark.parametrize("name", QUICK)
def test_a_few_random_files_of_each_reader(name, tmp_path):
    reader, moments = readers.READERS[name], random.Random(name)  # noqa: S311
    seeds = list(reader.seeds())
    path = tmp_path / "run" / reader.name
    for data in seeds:
        read(name, path, data)
    for _ in range(20):
        read(name, path, changes.change(moments.choice(seeds), seeds, reader.kind, moments))


def test_the_fuzzer_sees_what_is_wrong(tmp_path):
    """A reader that raises another error is a finding."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        fuzz = module("fuzz")
    finally:
        sys.path.remove(str(BENCHMARKS))

    def wrong(path):
        return {}[path.name]

    # Its hook could not be taken out again.
    watch, path = types.SimpleNamespace(on=False, seen=""), tmp_path / "f"
    for function, words in ((wrong, "KeyError at test_fuzz"), (len, "TypeError")):
        reader = readers.Reader(function, lambda: [b""])
        assert words in fuzz.finding_of(reader, path, watch)
    assert fuzz.finding_of(readers.Reader(str, lambda: [b""]), path, watch) == ""
