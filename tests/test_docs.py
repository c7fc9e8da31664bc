"""What README and the documentation show: their Python is run as it is shown."""

import importlib.util
import inspect
import re
import shlex
import sys
import types
from pathlib import Path

import jax
import numpy as np
import pytest
from oracles.weights import random_flat
from shown import fenced, run

from qd_fool import cli
from qd_fool.commands.evolve.plan import plan
from qd_fool.emitters.base import EMITTERS
from qd_fool.encodings import ENCODINGS, make_encoding
from qd_fool.models import ZOO

ROOT = Path(__file__).parent.parent
README, DOCS = ROOT / "README.md", ROOT / "docs" / "pages"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
EXTENDING = DOCS / "extending.md"
ADDED = {"waves": ENCODINGS, "perceptron": ZOO, "leap": EMITTERS}
GENERATED = ("commands.md", "api/")  # by docs/hooks.py
REPORT = re.compile(r"\.\./\.\./archives/\w+/report\.html")  # by docs/hooks.py, too


def suite(*parts):
    """A file of tests, as a module; the tests in it are functions to call."""
    path = ROOT.joinpath("tests", *parts)
    spec = importlib.util.spec_from_file_location(f"suite_of_{path.parent.name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def checks(module, *names):
    """The tests of a suite that take some of these fixtures and nothing else."""
    found = [function for name, function in vars(module).items() if name.startswith("test_")]
    taken = {f: set(inspect.signature(f).parameters) for f in found}
    return [f for f in found if taken[f] and taken[f] <= set(names)]


def call(check, **fixtures):
    with jax.numpy_rank_promotion("allow"):
        check(**{name: fixtures[name] for name in inspect.signature(check).parameters})


OF_ENCODINGS = suite("encodings", "test_contract.py")
OF_MODELS = suite("models", "test_contract.py")
OF_EMITTERS = suite("emitters", "test_contract.py")


@pytest.fixture(scope="module")
def added(tmp_path_factory):
    """The files that `extending.md` shows, imported: for these tests their names are registered."""
    folder = tmp_path_factory.mktemp("added")
    for block in fenced(EXTENDING, "python"):
        if name := re.match(r'"""(\w+)\.py:', block):
            (folder / f"{name[1]}.py").write_text(block, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        run(f"import {name}" for name in ADDED)
        assert all(name in table for name, table in ADDED.items())
        yield folder
    for name, table in ADDED.items():
        del table._table[name]
        del sys.modules[name]


def test_each_extension_is_under_30_lines_of_code():
    lines = [
        sum(bool(line.strip()) and not line.strip().startswith("#") for line in code.splitlines())
        for block in fenced(EXTENDING, "python")
        for code in [re.sub(r'""".*?"""', "", block, flags=re.S)]
    ]
    assert len(lines) >= len(ADDED)
    assert max(lines) < 30


@pytest.fixture(scope="module")
def encoding(added):
    """In colour; jitted, which makes the suite's checks cheap."""
    return OF_ENCODINGS.jitted(make_encoding("waves", (9, 14, 3)))


@pytest.mark.parametrize("check", checks(OF_ENCODINGS, "encoding", "image_shape"))
def test_the_encoding_shown_keeps_the_contract(encoding, check):
    call(check, encoding=encoding, image_shape=encoding.image_shape)


@pytest.fixture(scope="module")
def network(added):
    with jax.numpy_rank_promotion("allow"):
        return inspect.unwrap(OF_MODELS.network)(types.SimpleNamespace(param="perceptron"))


@pytest.mark.parametrize("check", checks(OF_MODELS, "network", "entry"))
def test_the_model_shown_keeps_the_contract(network, check):
    call(check, network=network, entry=ZOO["perceptron"])


def test_the_emitter_shown_keeps_the_contract(added):
    call(OF_EMITTERS.test_contract, name="leap", kind="direct")


def test_the_command_takes_all_three(added, tmp_path):
    weights = tmp_path / "weights.npz"
    np.savez(weights, **random_flat(ZOO["perceptron"]))
    words = ["evolve", "--model", "perceptron", "--weights", str(weights), "--chunk", "20"]
    words += ["--encoding", "waves", "--waves-step", "0.1"]
    words += ["--emitters", "variation,leap:2", "--leap-mutations", "5"]
    words += [word for name in ADDED for word in ("--import", str(added / f"{name}.py"))]
    cli.import_extensions(words)
    planned = plan(cli.parse(words))
    assert (planned.subject.scorer.name, planned.subject.encoding.name) == ("perceptron", "waves")
    assert planned.subject.encoding.settings == sys.modules["waves"].WavesSettings(step=0.1)
    assert [share.name for share in planned.map_elites.emitters] == ["variation", "leap"]
    leap = sys.modules["leap"].LeapSettings(mutations=5)
    assert planned.map_elites.emitters[1].settings == leap
    assert (planned.record["waves_step"], planned.record["leap_mutations"]) == (0.1, 5)


def test_the_commands_with_imports_are_understood(added, monkeypatch, capsys):
    monkeypatch.chdir(added)
    shown = [words for words in words_of(EXTENDING) if "--import" in words]
    assert {word for words in shown for word in words} >= {f"{name}.py" for name in ADDED}
    for words in shown:
        cli.import_extensions(words)
        cli.parse(words)
    assert cli.main([*shown[-1], "--json"]) == 0
    assert '"perceptron"' in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["evolve", "--import", "waves.py", "--help"])
    help_text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--waves-step {None}|FLOAT Largest change of a gene per offspring. (default: 0.3)" in (
        help_text
    )


def test_what_else_is_shown_of_extending(added):
    blocks = [b for b in fenced(EXTENDING, "python") if not b.startswith('"""')]
    module = run(blocks)
    assert np.isfinite(module.state.archive.fitness).all()
    assert module.encoding.settings.waves == 12


ELSEWHERE = {EXTENDING, DOCS / "functions.md", DOCS / "audit.md"}
OTHERS = {tuple(fenced(page, "python")): page.name for page in PAGES if page not in ELSEWHERE}
OTHERS.pop((), None)


@pytest.mark.parametrize("blocks", OTHERS, ids=OTHERS.values())
def test_the_python_of_the_other_pages_runs(blocks, monkeypatch):
    monkeypatch.chdir(ROOT)
    module = run(blocks)
    if "state" in vars(module):
        assert np.isfinite(module.state.archive.fitness).all()


def words_of(page):
    """The commands on a page, as lists of words without `qd-fool`."""
    lines = [line for block in fenced(page, "sh") for line in block.splitlines()]
    return [shlex.split(x, comments=True)[1:] for x in lines if x.startswith("qd-fool ")]


@pytest.mark.parametrize("page", [p for p in PAGES if words_of(p)], ids=lambda page: page.name)
def test_the_commands_shown_are_understood(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for words in words_of(page):
        if "--import" not in words:
            cli.parse(words)  # exits where it knows a flag or a value not


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "archives" / "README.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_links_lead_somewhere(page):
    text = page.read_text("utf-8")
    links = re.findall(r"\]\(([^)#:\s]+)(?:#([\w-]+))?\)", text)
    for link, anchor in links:
        target = page.parent / link
        assert link.startswith(GENERATED) or REPORT.fullmatch(link) or target.exists(), link
        if anchor:
            heads = re.findall(r"^#+ (.*)", target.read_text("utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in heads}


def test_the_targets_shown_are_in_the_makefile():
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.M)
    shown = [
        x for page in PAGES for x in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.M)
    ]
    assert shown
    assert set(shown) <= set(targets)
