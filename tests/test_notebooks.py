"""The notebooks of archives/ run from end to end, and are committed as they ran."""

import re

import nbformat
import pytest
from paths import ARCHIVES
from run_notebooks import TAG, executed, with_settings

EVOLVING = {"SEEDS": 2, "GENERATIONS": 3, "BATCH": 20}
SMALL = {
    "audit": {"BUDGET": 400, "SEEDS": 1},
    "inspect_archive": {"ARCHIVE": "mnist_cppn", "SHOW": 3, "POSTER": 56},
    "compare_encodings": EVOLVING,
    "transfer": EVOLVING,
}
NOTEBOOKS = sorted(ARCHIVES.glob("*.ipynb"))
LARGEST = 400_000
PLACE = re.compile(r"(?<![\w.])/(tmp|work|root|home|Users|mnt|opt)/|[A-Z]:\\|site-packages")


def outputs_of(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def pictures_in(notebook):
    data = [output.get("data", {}) for output in outputs_of(notebook)]
    return sum(kind.startswith("image/") for kinds in data for kind in kinds)


def words_in(notebook):
    """All that cells and outputs say; drawings too, but not the bytes of pictures."""
    said = [cell.source for cell in notebook.cells]
    for output in outputs_of(notebook):
        said.append(output.get("text", ""))
        said += [
            v for k, v in output.get("data", {}).items() if k not in ("image/jpeg", "image/png")
        ]
    return "\n".join(said)


@pytest.fixture
def own_kernel(tmp_path, monkeypatch):
    """A kernel without the settings of this user, whose programs compile fast and run slowly."""
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))


def test_each_notebook_has_a_budget_here():
    assert {path.stem for path in NOTEBOOKS} == set(SMALL)


# `make test` runs the quickest.
LONG = {"audit", "compare_encodings", "transfer"}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.long] if path.stem in LONG else [])
        for path in NOTEBOOKS
    ],
)
def test_a_notebook_runs(path, own_kernel):
    notebook = with_settings(nbformat.read(path, as_version=4), SMALL[path.stem])
    notebook = executed(notebook, folder=ARCHIVES, timeout=300)
    assert pictures_in(notebook) >= 4
    assert "Warning" not in words_in(notebook)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_as_it_ran(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert path.stat().st_size < LARGEST
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert code[0].metadata.tags == [TAG]
    kinds = {output.output_type for output in outputs_of(notebook)}
    assert kinds <= {"display_data", "execute_result", "stream"}
    assert all(o.name == "stdout" for o in outputs_of(notebook) if o.output_type == "stream")
    assert pictures_in(notebook) >= 4
    assert PLACE.search(words_in(notebook)) is None
    assert notebook.metadata.language_info == {"name": "python"}


def test_settings_replace_an_assignment_and_no_more():
    cell = nbformat.v4.new_code_cell("N = 3  # runs\nNAME = 'a'\nprint(N, NAME)")
    cell.metadata = {"tags": [TAG]}
    notebook = nbformat.v4.new_notebook(cells=[cell])
    changed = with_settings(notebook, {"N": 40, "NAME": "b"})
    assert changed.cells[0].source == "N = 40  # runs\nNAME = 'b'\nprint(N, NAME)"
    assert notebook.cells[0].source == cell.source
    with pytest.raises(ValueError, match="M is assigned 0 times"):
        with_settings(notebook, {"M": 1})
