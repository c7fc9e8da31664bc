"""A classifier of three colours, and photographs that it gets right."""

import pytest
from audit_command import FUNCTION
from colours import LABELS, colour_photographs, colour_scorer
from PIL import Image


@pytest.fixture(scope="session")
def scorer():
    return colour_scorer()


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory):
    """`DIR/<class>/NAME.png`."""
    folder = tmp_path_factory.mktemp("photos")
    images, labels = colour_photographs()
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / LABELS[label]).mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / LABELS[label] / f"{i:03}.png")
    return folder


@pytest.fixture(scope="session")
def words(tmp_path_factory, photo_folder):
    """The words of a small audit, without `--out`."""
    folder = tmp_path_factory.mktemp("classifier")
    (folder / "clf.py").write_text(FUNCTION, encoding="utf-8")
    (folder / "labels.txt").write_text("\n".join(LABELS), encoding="utf-8")
    name = f"python:{folder / 'clf.py'}:predict"
    return (
        "--model", name, "--input-size", 32, "--labels", folder / "labels.txt",
        "--photos", photo_folder, "--budget", 400,
    )  # fmt: skip
