import copy
import json

import numpy as np
import pytest
from oracles.graphs import cppn, mixed_ages

from qd_fool.encodings.cppn.graph_json import read_graph
from qd_fool.errors import UserError


@pytest.fixture(scope="module")
def graph():
    encoding = cppn((28, 28, 3))
    return encoding.describe(mixed_ages(encoding, 1, [40]), 0)


@pytest.mark.parametrize(
    ("shape", "settings", "ages"),
    [
        ((28, 28, 1), {}, (150,)),
        ((20, 30, 3), {"coords": "normalized", "coords_scale": 3.0}, (40,)),
    ],
)
def test_a_round_trip_draws_the_same_picture(shape, settings, ages):
    encoding = cppn(shape, **settings)
    genomes = mixed_ages(encoding, 1, ages)
    images = np.asarray(encoding.render(genomes))
    for i in range(len(genomes.hidden)):
        text = json.dumps(encoding.describe(genomes, i))
        again, one = read_graph(json.loads(text), source="x.json")
        assert again.image_shape == shape
        np.testing.assert_array_equal(np.asarray(again.render(one))[0], images[i])
        assert len(json.loads(text)["nodes"]) == again.settings.max_nodes


def test_nodes_in_any_order_and_with_any_ids(graph):
    other = copy.deepcopy(graph)
    rename = {node["id"]: 1000 - 7 * node["id"] for node in graph["nodes"]}
    for node in other["nodes"]:
        node["id"] = rename[node["id"]]
    for edge in other["edges"]:
        edge["source"], edge["target"] = rename[edge["source"]], rename[edge["target"]]
    hidden = [n for n in other["nodes"] if n["kind"] == "hidden"]
    rest = [n for n in other["nodes"] if n["kind"] != "hidden"]
    other["nodes"] = hidden[::-1] + rest
    (a, one), (b, two) = read_graph(graph, source="a"), read_graph(other, source="b")
    np.testing.assert_array_equal(a.render(one), b.render(two))


def change(path, value):
    def apply(graph):
        *way, last = path
        for key in way:
            graph = graph[key]
        if value is DELETE:
            del graph[last]
        else:
            graph[last] = value

    return apply


DELETE = object()
BAD = [
    (change(["format"], "other"), 'expected JSON with "format": "qd_fool.cppn"'),
    (change(["version"], 9), "version is 9, this version reads 1"),
    (change(["image_shape"], [28, 28]), r"image_shape is \[28, 28\], expected"),
    (change(["image_shape"], [28, 28, 2]), r"image_shape is \[28, 28, 2\], expected"),
    (change(["color"], "cmyk"), "color is 'cmyk', expected one of gray, hls, hsv, rgb"),
    (change(["color"], []), r"color is \[\], expected one of gray"),
    (change(["image_shape"], [10**30, 1, 1]), "sides up to 4096"),
    (change(["nodes", -1, "activation"], {}), r"has activation \{\}: expected one of sine"),
    (change(["edges", 0, "weight"], 10**400), "and a finite weight"),
    (change(["color"], "gray"), "4 inputs and 3 outputs, expected 4 and 1"),
    (change(["coords"], "polar"), "coords is 'polar': expected one of raw, normalized"),
    (change(["coords_scale"], "big"), "coords_scale 'big': expected both"),
    (change(["nodes"], None), "nodes: expected a list of objects"),
    (change(["nodes", 0, "id"], "a"), "expected an integer id and a kind"),
    (change(["nodes", 1, "id"], 0), "node ids occur more than once"),
    (change(["nodes", 0], DELETE), "3 inputs and 3 outputs, expected 4 and 3"),
    (change(["nodes", -1, "activation"], "relu"), "has activation 'relu': expected one of sine"),
    (change(["edges"], {}), "edges: expected a list of objects"),
    (change(["edges", 0, "weight"], float("nan")), "and a finite weight"),
    (change(["edges", 0, "weight"], True), "and a finite weight"),
    (change(["edges", 0, "target"], 2), "an edge leads from .* to 2: expected from an input"),
    (change(["edges", 0, "source"], 12345), "an edge leads from 12345 to"),
]


@pytest.mark.parametrize(("apply", "message"), BAD, ids=[message[:30] for _, message in BAD])
def test_what_is_wrong_is_one_sentence_that_names_the_file(graph, apply, message):
    bad = copy.deepcopy(graph)
    apply(bad)
    with pytest.raises(UserError, match=f"some.json.*{message}") as caught:
        read_graph(bad, source="some.json")
    assert "\n" not in str(caught.value)


def test_a_cycle_is_told(graph):
    bad = copy.deepcopy(graph)
    new = [{"id": i, "kind": "hidden", "activation": "sine"} for i in (901, 902)]
    bad["nodes"] += new
    for s, t in ((901, 902), (902, 901)):
        bad["edges"].append({"source": s, "target": t, "weight": 1.0})
    with pytest.raises(UserError, match="the edges form a cycle through"):
        read_graph(bad, source="x")


@pytest.mark.parametrize("data", [None, [], "graph", {}])
def test_what_is_no_graph_at_all(data):
    with pytest.raises(UserError, match="x: expected JSON with"):
        read_graph(data, source="x")
