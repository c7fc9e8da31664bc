"""The examples of docs/pages/functions.md, run as they are shown, beside the files they name."""

import pytest
from oracles.onnx_graphs import classifier, normals, save
from paths import REPOSITORY
from shown import fenced, run

PAGE = REPOSITORY / "docs" / "pages" / "functions.md"
NAMES = ("scikit-learn", "OpenCV", "LiteRT", "a gradient")
# `make test` runs one function on the host and one in JAX; the others are those of other packages.
LONG = {"OpenCV", "LiteRT"}
NEEDS = {"scikit-learn": "sklearn", "OpenCV": "cv2", "LiteRT": "ai_edge_litert"}


@pytest.mark.parametrize(
    ("name", "block"),
    [
        pytest.param(name, block, id=name, marks=[pytest.mark.long] if name in LONG else [])
        for name, block in zip(NAMES, fenced(PAGE, "python"), strict=True)
    ],
)
def test_the_example_runs(name, block, tmp_path, monkeypatch):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"the example of {name}")
    monkeypatch.chdir(tmp_path)
    if name == "OpenCV":
        save(classifier(batch=1, side=16), tmp_path, "model.onnx")
    if name == "LiteRT":
        from tflite_file import dense

        (tmp_path / "model.tflite").write_bytes(dense(normals(4, 768), (16, 16, 3)))
    module = run([block])
    if name == "a gradient":
        assert (module.result.best_log_odds > 0).all()
    else:
        assert module.state.archive.occupied.all()
        assert len(module.network.class_names) == {"OpenCV": 5, "LiteRT": 4}.get(name, 10)
