"""Where the targets of an ascent start."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from qd_fool.commands.ascend.config import AscendConfig
from qd_fool.commands.ascend.plan import plan_ascent
from qd_fool.commands.ascend.starts import make_starts
from qd_fool.commands.common.console import make_console
from qd_fool.commands.common.networks import Networks
from qd_fool.commands.common.subject import make_subject
from qd_fool.encodings import make_encoding


@pytest.mark.parametrize("kind", ["mean", "uniform", "zero", "picture"])
def test_starts(tmp_path, kind):
    """A target's start is the same whatever other starts are made with it."""
    picture = np.random.default_rng(0).integers(0, 256, (20, 16, 3)).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "start.png")
    planned = plan_ascent(AscendConfig(), console=make_console())
    scorer = dataclasses.replace(planned.subject.scorer, mean=(90.0, 100.0, 110.0))
    encoding = make_encoding("direct", (20, 16, 3), color="rgb")
    start = str(tmp_path / "start.png") if kind == "picture" else kind
    make = make_starts(
        dataclasses.replace(
            planned,
            config=dataclasses.replace(planned.config, start=start),
            subject=make_subject(Networks("lenet"), scorer, encoding, crops=1, chunk=2),
            classes=np.array([3, 3, 4], np.int32),
            starts=np.array([0, 1, 0], np.int32),
        )
    )
    genomes, values = make(np.arange(3))
    np.testing.assert_array_equal(genomes, np.clip(np.round(values), 0, 255))
    np.testing.assert_array_equal(make(np.array([1]))[1], values[1:2])
    mean = np.broadcast_to(np.float32(scorer.mean), (20, 16, 3)).reshape(-1)
    if kind in ("mean", "uniform"):
        assert len(np.unique(values, axis=0)) == 3
    if kind == "mean":
        assert np.std(values - mean) == pytest.approx(1, abs=0.05)
        assert np.mean(values - mean) == pytest.approx(0, abs=0.1)
    elif kind == "uniform":
        assert np.percentile(values, [0, 50, 100]) == pytest.approx([0, 127.5, 255], abs=8)
    else:
        wanted = mean if kind == "zero" else picture.reshape(-1)
        np.testing.assert_array_equal(values, np.stack([wanted] * 3))
