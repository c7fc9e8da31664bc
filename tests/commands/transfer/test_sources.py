"""Sources of a transfer: folders whose pictures are named by class, and a run beside them."""

from transfer_networks import picture, rows_of

from qd_fool.models.labels import imagenet_labels
from qd_fool.runs.pictures import write_image

WNIDS = imagenet_labels()[0]


def test_folders_tell_targets_by_name_or_go_by_the_first_network(tmp_path, transfer, run_dir):
    folder = tmp_path / "pictures"
    (folder / WNIDS[3]).mkdir(parents=True)
    write_image(folder / "0002_hen.png", picture(2))
    write_image(folder / f"photo_{WNIDS[1]}.png", picture(1))
    write_image(folder / WNIDS[3] / "x.png", picture(3, side=47))
    write_image(folder / "what.png", picture(2, side=60))
    out, figures, said = transfer(folder, run_dir, to=("tiny-b",), plots=True, out=tmp_path / "out")
    named = {
        row["image"]: int(row["target_class"])
        for row in rows_of(out)
        if row["source"] == "pictures"
    }
    assert named == {
        "0002_hen.png": 2, "what.png": 2, f"photo_{WNIDS[1]}.png": 1, f"{WNIDS[3]}/x.png": 3,
    }  # fmt: skip
    source = figures["sources"][0]
    assert source["targets_told_by"] == {"index": 1, "wnid": 2, "nothing": 1}
    assert source["networks"] == []
    assert source["pairs"][0]["a"] == "tiny-b"
    assert "the names of 1 of 4 pictures give no class" in said
    assert "the class that tiny-b is most confident about" in said
    assert {"scatter_0_pictures.png", "scatter_1_run.png"} <= set(figures["files"])
    assert "## All sources" in (out / "transfer.md").read_text()
