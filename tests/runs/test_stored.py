"""A run directory opened by its `run.json`: the same questions for every kind of run."""

import pytest
from paths import ARCHIVES

from qd_fool.errors import UserError
from qd_fool.runs.stored import StoredRun, open_run


@pytest.mark.parametrize(
    ("name", "kind", "encoding", "network"),
    [
        ("mnist_direct", "evolution", "direct", "lenet"),
        ("mnist_cppn", "evolution", "cppn", "lenet"),
        ("mnist_ascent", "ascent", "direct", "lenet"),
        ("imagenet_cppn_lite0", "evolution", "cppn", "efficientnet-lite0"),
        ("imagenet_cppn_squeezenet", "evolution", "cppn", "squeezenet1.1"),
    ],
)
def test_reference_archives(name, kind, encoding, network):
    run = open_run(ARCHIVES / name)
    assert (run.kind, run.networks) == (kind, (network,))
    assert run.classes == (1000 if name.startswith("imagenet") else 10)
    assert run.encoding().name == encoding
    assert list(run.encoding().image_shape) == run.record["image_shape"]
    # Settings are those of the search itself: an ascent's, not the evolution's beside them.
    assert ("iterations" in run.settings) == (kind == "ascent")
    assert ("batch_size" in run.settings) == (kind == "evolution")


def test_several_networks():
    config = {"model": "a", "also": ["b", "c"], "encoding": "direct"}
    run = StoredRun(ARCHIVES, {"config": config, "classes": 3})
    assert run.networks == ("a", "b", "c")
    assert (run.kind, run.settings) == ("evolution", config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_shape": None}, "does not say how its genomes are to be read"),
        (
            {"image_shape": [28, 28]},
            r"image_shape is \[28, 28\], expected \[height, width",
        ),
        ({"image_shape": [28, 28, 2]}, "1 or 3 channels"),
        ({"image_shape": [28, 9999, 1]}, "sides up to 4096"),
        ({"encoding_settings": {"mutation_rate": "often"}}, "encoding_settings can't be read"),
        ({"encoding_settings": {"speed": 1}}, "has no setting 'speed'"),
    ],
)
def test_genomes_that_nobody_can_read(change, message):
    run = open_run(ARCHIVES / "mnist_direct")
    with pytest.raises(UserError, match=message):
        StoredRun(run.path, run.record | change).encoding()
