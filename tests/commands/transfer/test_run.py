"""`transfer_run`: where it writes, what it may overwrite, and refusals."""

import functools
import json
import shutil

import numpy as np
from PIL import Image
from transfer_networks import picture, refusal

from qd_fool.commands.common.console import make_console
from qd_fool.commands.transfer.config import TransferConfig
from qd_fool.commands.transfer.run import transfer_run
from qd_fool.runs.pictures import write_image


def test_a_former_transfer_is_overwritten_and_nothing_else(run_dir, transfer):
    out = run_dir / "transfer"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    assert f"--out {out} exists" in refusal(transfer, run_dir)
    former = {"kind": "transfer", "files": ["scatter.png", "../run.json", "transfer.csv"]}
    (out / "transfer.json").write_text(json.dumps(former))
    (out / "scatter.png").write_text("of a former transfer")
    assert transfer(run_dir)[0] == out
    assert {path.name for path in out.iterdir()} == {
        "mine.txt", "transfer.csv", "transfer.json", "transfer.md",
    }  # fmt: skip
    assert (run_dir / "run.json").exists()
    assert f"--out {run_dir} exists" in refusal(transfer, run_dir, out=run_dir)
    assert refusal(transfer, run_dir, out=run_dir / "run.json").endswith("expected a directory")


def test_what_is_refused(run_dir, tmp_path, transfer, tiny):
    refused = functools.partial(refusal, transfer)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "neither a run.json nor pictures" in refused(empty)
    assert "no such directory" in refused(tmp_path / "nowhere")
    assert "given more than once" in refused(run_dir, run_dir / ".")
    assert "at least one run" in refused()
    assert "--to is missing" in refused(run_dir, to=())
    assert "unknown model 'nobody'" in refused(run_dir, to=("nobody",))
    assert "given twice with the same weights" in refused(run_dir, to=("tiny-b", "tiny-b"))
    assert "tiny-b has 1000 classes and lenet 10" in refused(run_dir, to=("tiny-b", "lenet"))
    assert "run has 1000 classes and lenet 10" in refused(run_dir, to=("lenet",))
    assert "crops is 3" in refused(run_dir, crops=3)
    assert "subtracts no mean" in refused(run_dir, mean=tmp_path / "mean.npy")
    gray = tmp_path / "gray"
    gray.mkdir()
    Image.new("L", (40, 40)).save(gray / "0001_x.png")
    assert "0001_x.png: the mode is L, expected RGB" in refused(gray)
    exact = tmp_path / "exact"
    exact.mkdir()
    write_image(exact / "0001_x.png", picture(1, side=32))
    assert "0001_x.png: ten crops need images larger" in refused(exact, crops=10)
    shutil.copy(run_dir / "elites.csv", tmp_path / "elites.csv")
    (run_dir / "elites.csv").write_text(
        (tmp_path / "elites.csv").read_text().replace("\n1,", "\n1000,")
    )
    assert "class_index goes beyond 0..999" in refused(run_dir)
    (run_dir / "elites" / "0002_c.png").unlink()
    shutil.copy(tmp_path / "elites.csv", run_dir / "elites.csv")
    assert "0002_c.png: cannot be read" in refused(run_dir)
    np.savez(tmp_path / "nan.npz", weight=np.full((3, 1000), np.nan, np.float32))
    config = TransferConfig((gray,), ("tiny-b",), (tmp_path / "nan.npz",))
    write_image(gray / "0001_x.png", picture(1))
    said = refusal(transfer_run, config, console=make_console())
    assert "nan.npz) gives NaN" in said
    assert not any((path / "transfer").exists() for path in (run_dir, gray, exact, empty))
