"""A classifier of three colours, and photographs that it gets right."""

import pytest
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
