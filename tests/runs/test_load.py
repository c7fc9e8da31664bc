"""Archives read back in Python, against the CSV, the PNGs and plain walks over the log."""

import csv
import itertools
import json
import shutil
import sys
from collections import Counter

import numpy as np
import pytest
from paths import ARCHIVES
from PIL import Image

import qd_fool
from qd_fool.errors import UserError
from qd_fool.models.class_names import class_labels, label_set
from qd_fool.models.labels import imagenet_labels
from qd_fool.models.retrained import NEW_CLASS

DIRECT, CPPN, ASCENT = (ARCHIVES / f"mnist_{name}" for name in ("direct", "cppn", "ascent"))
IMAGENET = ARCHIVES / "imagenet_cppn_lite0"


@pytest.fixture(scope="module")
def cppn():
    return qd_fool.load_archive(CPPN)


@pytest.fixture(scope="module")
def frame(cppn):
    return qd_fool.archive_frame(cppn)


@pytest.fixture
def copied(tmp_path):
    """The archive of graphs, to be changed; without its pictures and pages."""
    return shutil.copytree(
        CPPN, tmp_path / "run", ignore=shutil.ignore_patterns("elites", "graphs", "*.html", "*.png")
    )


def change_arrays(path, **changes):
    with np.load(path) as file:
        arrays = {name.replace(".", "__"): file[name] for name in file.files} | changes
    np.savez(path, **{name.replace("__", "."): array for name, array in arrays.items()})


def change_run(path, **changes):
    file = path / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def rows_of(path):
    with (path / "elites.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def walk(events, individual):
    """An individual and its ancestors, the oldest first: `(id, cell it was found in or -1)`."""
    parents = {
        int(i): (int(p), int(c))
        for i, p, c in zip(events["id"], events["parent_id"], events["parent_class"], strict=True)
    }
    found = []
    while individual in parents:
        parent, cell = parents[individual]
        found.append((individual, cell))
        individual = parent
    return found[::-1]


@pytest.mark.parametrize("path", [DIRECT, CPPN, ASCENT], ids=lambda path: path.name)
def test_pictures_drawn_from_genomes_are_the_pngs(path):
    archive = qd_fool.load_archive(str(path))
    drawn = qd_fool.archive_pictures(archive)
    saved = np.stack([np.asarray(Image.open(path / row["png"])) for row in rows_of(path)])
    assert (drawn.shape, drawn.dtype) == ((10, 28, 28, 1), np.uint8)
    # Another kind of machine may round a few pixels of a graph's picture otherwise.
    assert (drawn[..., 0] == saved).mean() >= (0.99 if path == CPPN else 1.0)
    pictures = qd_fool.archive_pictures(archive, [7, 2, 7])
    np.testing.assert_array_equal(pictures, drawn[[7, 2, 7]])
    assert qd_fool.archive_pictures(archive, []).shape == (0, 28, 28, 1)
    with pytest.raises(UserError, match=r"class is 10: .* has classes 0 to 9"):
        qd_fool.archive_pictures(archive, [3, 10])


def test_the_frame_says_what_the_csv_says(cppn, frame):
    rows = rows_of(CPPN)
    assert list(frame.class_index) == list(range(10))
    for name in ("label", "confidence", "fitness", "born_generation", "id", "parent_id"):
        assert frame[name].tolist() == [type(frame[name].iloc[0])(row[name]) for row in rows]
    parents = [int(row["parent_class"]) for row in rows]
    assert frame.parent_class.tolist() == parents
    assert frame.parent_label.tolist() == [str(k) for k in parents]
    assert frame.goal_switch.tolist() == [k != i for i, k in enumerate(parents)]
    assert frame.top_class.tolist() == [json.loads(row["top5"])[0][0] for row in rows]
    assert "wnid" not in frame
    assert cppn.metrics["generation"][-1] == cppn.run["generations_done"]
    for k in range(10):
        graph = json.loads((CPPN / "graphs" / f"{k:04d}_{k}.json").read_text())
        assert (frame.nodes[k], frame.edges[k]) == (len(graph["nodes"]), len(graph["edges"]))


def test_ancestors_and_switches_are_those_of_the_log(cppn, frame):
    for k, individual in enumerate(frame.id):
        line = walk(cppn.events, individual)
        cells = [*(cell for _, cell in line[1:]), k]
        changes = sum(a != b for a, b in itertools.pairwise(cells))
        assert (frame.ancestors[k], frame.switches[k]) == (len(line) - 1, changes)
        table = qd_fool.ancestor_frame(cppn, k)
        assert table.id.tolist() == [i for i, _ in line]
        assert table.class_index.tolist() == cells
        assert table.goal_switch.sum() == changes
        assert table.confidence.iloc[-1] == pytest.approx(frame.confidence[k])
    assert frame.switches.sum() > 0
    won = {
        (int(i), int(k)): p
        for i, k, p in zip(*(cppn.events[n] for n in ("id", "class_index", "confidence")))  # noqa: B905
    }
    for row in table.itertuples():
        assert row.confidence == pytest.approx(won[row.id, row.class_index])


def test_ancestors_have_pictures(cppn):
    line = qd_fool.ancestor_frame(cppn, 3)
    drawn = qd_fool.ancestor_pictures(cppn, line.id)
    assert drawn.shape == (len(line), 28, 28, 1)
    np.testing.assert_array_equal(drawn[-1:], qd_fool.archive_pictures(cppn, [3]))
    np.testing.assert_array_equal(qd_fool.ancestor_pictures(cppn, line.id[:2][::-1]), drawn[1::-1])
    assert len(np.unique(drawn.reshape(len(drawn), -1), axis=0)) > len(line) / 2
    with pytest.raises(UserError, match=r"genomes.npz: no genome of id 1$"):
        qd_fool.ancestor_pictures(cppn, [1])


def test_two_files_are_enough(tmp_path):
    for name in ("run.json", "archive.npz"):
        shutil.copy(DIRECT / name, tmp_path / name)
    archive = qd_fool.load_archive(tmp_path)
    nothing = (archive.elites, archive.metrics, archive.events, archive.genomes)
    assert nothing == (None, None, None, None)
    assert archive.class_names == tuple("0123456789")
    frame = qd_fool.archive_frame(archive)
    assert not {"top_class", "ancestors", "nodes", "wnid"} & set(frame)
    assert frame.confidence.tolist() == [float(row["confidence"]) for row in rows_of(DIRECT)]
    with pytest.raises(UserError, match=r"has no lineage.npz"):
        qd_fool.ancestor_frame(archive, 3)
    with pytest.raises(UserError, match=r"has no genomes.npz: expected .* --keep-genomes"):
        qd_fool.ancestor_pictures(archive, [3])


def test_classes_of_imagenet_have_names_and_wnids():
    archive = qd_fool.load_archive(IMAGENET)
    frame = qd_fool.archive_frame(archive)
    assert (len(frame), frame.wnid[291]) == (1000, "n02129165")
    assert frame.label[291].startswith("lion")
    assert archive.encoding.image_shape == (256, 256, 3)
    held = Counter(frame.id)
    assert frame.cells_held.tolist() == [held[i] for i in frame.id]
    assert frame.goal_switch.tolist() == (frame.parent_class != frame.class_index).tolist()
    assert frame.goal_switch.any()


def test_an_empty_cell_knows_nothing(copied):
    with np.load(copied / "archive.npz") as file:
        fitness, ids, parents = (file[f"archive.{n}"] for n in ("fitness", "id", "parent_class"))
    fitness[4], ids[4], parents[4] = -np.inf, -1, -1
    change_arrays(
        copied / "archive.npz",
        archive__fitness=fitness,
        archive__id=ids,
        archive__parent_class=parents,
    )
    rows = (copied / "elites.csv").read_text().splitlines(keepends=True)
    (copied / "elites.csv").write_text("".join(rows[:5] + rows[6:]))
    row = qd_fool.archive_frame(qd_fool.load_archive(copied)).loc[4]
    assert (row.label, row.confidence, row.fitness, row.cells_held) == ("4", 0.0, -np.inf, 0)
    unknown = ["parent_label", "goal_switch", "top_class", "top_label", "ancestors", "switches"]
    assert row[unknown].isna().all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"archive__fitness": np.full(10, np.nan, np.float32)}, "fitness is NaN or infinite"),
        ({"archive__parent_class": np.full(10, 10, np.int32)}, r"parent_class goes beyond -1\.\.9"),
        ({"archive__id": np.array([{}] * 10)}, "expected a whole .npz file"),
        ({"archive__genomes__weight": np.zeros((10, 9), np.float32)}, "expected float32.10, 160."),
    ],
)
def test_damaged_arrays_are_refused(copied, changes, message):
    change_arrays(copied / "archive.npz", **changes)
    with pytest.raises(UserError, match=message):
        qd_fool.load_archive(copied)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 9}, "or number of classes"),
        ({"classes": 0}, "classes is 0, expected 1 or more"),
        ({"image_shape": [28, 28]}, "expected .height, width, channels."),
        ({"image_shape": [28, 28, 2]}, "1 or 3 channels"),
        ({"encoding_settings": None}, "does not say how its genomes are to be read"),
        ({"encoding_settings": {"weight": "high"}}, "encoding_settings can't be read"),
        ({"encoding_settings": {"max_nodes": 32}}, "another encoding, image size"),
        ({"config": {"encoding": "spline"}}, "unknown encoding 'spline'"),
    ],
)
def test_a_run_that_does_not_fit_is_refused(copied, changes, message):
    change_run(copied, **changes)
    with pytest.raises(UserError, match=message):
        qd_fool.load_archive(copied)


def test_missing_and_torn_files_are_refused(copied, tmp_path):
    with pytest.raises(UserError, match=r"no readable run.json"):
        qd_fool.load_archive(tmp_path)
    data = (copied / "archive.npz").read_bytes()
    (copied / "archive.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"expected a whole .npz file"):
        qd_fool.load_archive(copied)
    (copied / "archive.npz").unlink()
    with pytest.raises(UserError, match=r"archive.npz is missing"):
        qd_fool.load_archive(copied)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\n3,3,", "\nthree,3,", "expected whole numbers in class_index"),
        ("\n3,3,", "\n10,3,", r"class_index goes beyond 0\.\.9"),
        ('"[[3, ', '"[[10, ', r"top5 goes beyond 0\.\.9"),
        ('"[[3, ', '"[3, ', "top5 is"),
    ],
)
def test_a_damaged_csv_is_refused(copied, old, new, message):
    text = (copied / "elites.csv").read_text()
    assert old in text
    (copied / "elites.csv").write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        qd_fool.archive_frame(qd_fool.load_archive(copied))


def test_names_of_classes_come_from_the_network_or_the_labels():
    wnids, names = imagenet_labels()

    def labels(model, classes, found):
        return class_labels({"classes": classes, "config": {"model": model}}, found)

    assert labels("alexnet", 1000, {}) == (names, wnids)
    assert labels("alexnet", 1001, {1000: NEW_CLASS})[0][-2:] == (names[-1], NEW_CLASS)
    assert labels("lenet", 11, {})[0] == (*"0123456789", NEW_CLASS)
    assert labels("mine", 1000, {0: names[0]}) == (names, wnids)
    assert labels("mine", 1000, {})[0][7] == "class 7"
    assert labels("mine", 3, {1: "cat"}) == (("class 0", "cat", "class 2"), ())


def test_run_json_says_the_names_of_classes():
    wnids, names = imagenet_labels()

    def labels(stated, classes):
        run = {"classes": classes, "config": {"model": "mine"}, "labels": stated}
        return class_labels(run, {1: "another"})

    for stated_names, stated_wnids in (
        (names, wnids),
        ((*names, NEW_CLASS), (*wnids, NEW_CLASS)),
        (tuple("0123456789"), ()),
        ((*"0123456789", NEW_CLASS), ()),
        (("cat", "dog"), ()),
        (names, ()),  # ImageNet's names without identifiers are names like others
    ):
        stated = json.loads(json.dumps(label_set(stated_names, stated_wnids)))
        assert labels(stated, len(stated_names)) == (stated_names, stated_wnids)
    assert label_set((*names, NEW_CLASS), (*wnids, NEW_CLASS)) == "imagenet"
    for stated, classes in (("imagenet", 10), ("flowers", 10), (["cat"], 2), ([1, 2], 2), (3, 3)):
        with pytest.raises(UserError, match=r"run.json: labels is .*, expected imagenet or digits"):
            labels(stated, classes)


def test_an_ascent_is_an_archive_without_parents():
    archive = qd_fool.load_archive(ASCENT)
    frame = qd_fool.archive_frame(archive)
    assert archive.run["kind"] == "ascent"
    assert frame.confidence.tolist() == [float(row["confidence"]) for row in rows_of(ASCENT)]
    assert frame.goal_switch.isna().all()
    assert frame.parent_label.isna().all()
    assert len(qd_fool.ancestor_frame(archive, 3)) == 1


def test_without_pandas_it_says_what_to_install(cppn, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    for table in (qd_fool.archive_frame, lambda archive: qd_fool.ancestor_frame(archive, 3)):
        with pytest.raises(UserError, match=r'pip install "qd-fool\[notebooks\]"'):
            table(cppn)
