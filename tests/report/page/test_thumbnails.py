"""Thumbnails within their budget; histograms; genomes packed and read back."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from synthetic_run import picture, write_run

from qd_fool.encodings.cppn.graph_json import read_graph
from qd_fool.files import read_npz
from qd_fool.report.page.graphs import pack_graphs, read_genomes
from qd_fool.report.page.thumbnails import histogram, pixels_of, thumbnails
from qd_fool.runs.directory import read_run


def opened(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))


def test_small_pictures_are_kept_to_the_pixel():
    image = picture(28, seed=0)
    (uri,) = thumbnails([lambda: image], budget=10**6)
    np.testing.assert_array_equal(np.asarray(opened(uri)), np.asarray(image))


def test_large_pictures_fit_the_budget():
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (96, 96, 3), np.uint8)) for _ in range(12)]
    looks = [lambda image=image: image for image in noise]
    free, tight = (thumbnails(looks, budget=budget) for budget in (10**6, 60_000))
    assert sum(map(len, tight)) <= 60_000 < sum(map(len, free))
    assert opened(free[0]).size == (96, 96)


def test_a_histogram_counts_each_channel():
    image = Image.fromarray(np.repeat(np.array([[0, 0, 0, 255]], np.uint8), 4, axis=0))
    counts = np.frombuffer(base64.b64decode(histogram(image)), np.uint8)
    assert (len(counts), counts[0], counts[-1], counts[1:-1].max()) == (32, 255, 85, 0)
    assert len(base64.b64decode(histogram(picture(8, seed=1)))) == 96
    assert base64.b64decode(pixels_of(image)) == np.asarray(image).tobytes()


def test_packed_graphs_hold_what_the_encoding_described(tmp_path):
    run_dir = tmp_path / "r"
    write_run(run_dir, labels="abc")
    graphs, why = read_genomes(run_dir, read_run(run_dir), [0, 2])
    assert (len(graphs), why) == (2, "")
    packed = pack_graphs(graphs)
    for i, graph in enumerate(graphs):
        nodes = np.array(packed["nodes"][i]).reshape(-1, 4)
        edges = np.array(packed["edges"][i]).reshape(-1, 3)
        assert graph == packed["head"] | {
            "nodes": [{"id": int(n[0]), **packed["kinds"][int(n[1])]} for n in nodes],
            "edges": [
                {"source": int(s), "target": int(t), "weight": float(np.float32(w))}
                for s, t, w in edges
            ],
        }
        assert (nodes[:, 2] >= 0).all()
        read_graph(graph, source="the page")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"image_shape": None}, "run.json does not say"),
        ({"encoding_settings": {"colour": "hsv"}}, "has no setting 'colour'"),
        ({"encoding_settings": {"max_nodes": 32}}, "holds no genomes of the cppn encoding"),
    ],
)
def test_a_page_can_do_without_genomes_and_says_why(tmp_path, change, why):
    write_run(tmp_path / "r", labels="abc")
    run = read_run(tmp_path / "r") | change
    graphs, found = read_genomes(tmp_path / "r", run, [0])
    assert graphs == []
    assert why in found


def test_too_many_pictures_have_no_thumbnails():
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (96, 96, 3), np.uint8))
    looks = [lambda: image] * 12
    assert thumbnails(looks, budget=1000) is None
    smallest = thumbnails(looks, budget=1000, inside=True)
    assert opened(smallest[0]).size == (64, 64)
    assert thumbnails([], budget=0) == []


def test_pictures_of_one_key_are_packed_once():
    looked = []
    looks = [lambda k=k: looked.append(k) or picture(28, seed=k) for k in (0, 1, 0)]
    found = thumbnails(looks, budget=10**6, keys=[5, 6, 5])
    assert found[0] == found[2] != found[1]
    assert sorted(looked[3:]) == [0, 1]  # after a sample of all three
    assert found == thumbnails(looks, budget=10**6)


def test_equal_graphs_are_packed_once(tmp_path):
    run_dir = tmp_path / "r"
    write_run(run_dir, labels="abcd")
    arrays = read_npz(run_dir / "archive.npz")
    for leaf in arrays.values():
        leaf[2] = leaf[0]
    np.savez_compressed(run_dir / "archive.npz", **arrays)
    graphs, _ = read_genomes(run_dir, read_run(run_dir), [0, 1, 2, 3])
    packed = pack_graphs(graphs)
    assert packed["rows"] == [0, 1, 0, 2]
    alone = pack_graphs([graphs[0], graphs[1], graphs[3]])
    assert packed == alone | {"rows": packed["rows"]}
