"""An ascent's settings with everything filled in, and what it is about."""

import numpy as np
import pytest
from paths import ARCHIVES

from qd_fool.commands.ascend.config import AscendConfig
from qd_fool.commands.ascend.plan import plan_ascent
from qd_fool.commands.common import networks
from qd_fool.commands.common.console import make_console
from qd_fool.runs.stored import open_run


def test_flags_beat_the_preset():
    config = AscendConfig(preset="paper", decay=0.0, classes="1", iterations=7)
    planned = plan_ascent(config, console=make_console())
    assert (planned.ascent.objective, planned.ascent.rule) == ("probability", "progress")
    assert (planned.ascent.decay, planned.ascent.iterations) == (0.0, 7)
    assert planned.record["early"] == 0.03


def test_the_subject_is_that_of_the_source(monkeypatch):
    """Its network, and its encoding with all settings; weights are read once."""
    read = []
    real = networks.load_scorer
    monkeypatch.setattr(
        networks, "load_scorer", lambda *args, **kwargs: read.append(args) or real(*args, **kwargs)
    )
    source = ARCHIVES / "mnist_cppn"
    config = AscendConfig(from_run=source, parametrization="cppn", classes="2,7", chunk=9)
    planned = plan_ascent(config, console=make_console())
    assert read == [("lenet",)]
    stored = open_run(source).encoding()
    assert planned.subject.encoding.settings == stored.settings
    assert (planned.subject.crops, planned.subject.chunk) == (1, 2)
    assert planned.classes.tolist() == [2, 7]
    assert planned.evaluations == 60 * 2 * 4
    assert len(planned.record["from_digest"]) == 64


@pytest.mark.parametrize(("model", "color"), [("lenet", None), ("tiny", "rgb")])
def test_pixels_are_moved_as_they_are(model, color, tiny_network):
    weights = tiny_network[3] if model == "tiny" else None
    config = AscendConfig(model=model, weights=weights, classes="3", starts=2)
    planned = plan_ascent(config, console=make_console())
    assert planned.subject.encoding.settings.color == color
    np.testing.assert_array_equal(planned.starts, [0, 1])
    assert (planned.config.start, planned.config.chunk) == ("mean", 1)
