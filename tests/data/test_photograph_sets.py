"""Photographs in two parts: from a folder, and from data that TFDS has prepared."""

import importlib.util

import pytest
from PIL import Image

from qd_fool.data.photograph_sets import load_photograph_set
from qd_fool.errors import UserError
from qd_fool.models.labels import imagenet_labels

WNIDS = imagenet_labels()[0]


def load(source, *, data_dir=None, most=100, side=16):
    return load_photograph_set(str(source), side=side, wnids=WNIDS, data_dir=data_dir, most=most)


def picture(i, *, size=(40, 32)):
    """Flat, its number in red."""
    return Image.new("RGB", size, (i, 0, 0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for i, wnid in enumerate(WNIDS[:9]):
        picture(i).save(folder / f"{wnid}.png")
    return folder


def test_every_second_photograph_of_a_folder_is_held_out(folder):
    found = load(folder)
    assert found.train[:, 0, 0, 0].tolist() == [0, 2, 4, 6, 8]
    assert found.held_out[:, 0, 0, 0].tolist() == [1, 3, 5, 7]
    assert found.held_out_labels.tolist() == [1, 3, 5, 7]
    assert found.train.shape == (5, 16, 16, 3)
    assert "9 of 9 photographs" in found.words


def test_of_many_some_are_taken_evenly(folder):
    found = load(folder, most=5)
    assert found.train[:, 0, 0, 0].tolist() == [0, 4, 8]
    assert found.held_out[:, 0, 0, 0].tolist() == [2, 6]
    assert "5 of 9" in found.words


def test_what_is_no_set_of_photographs_is_refused(tmp_path, folder):
    def refused(*args, **options):
        with pytest.raises(UserError) as caught:
            load(*args, **options)
        return str(caught.value)

    assert "no such folder" in refused(tmp_path / "none")
    assert "no such folder" in refused("./none")
    picture(0).save(tmp_path / f"{WNIDS[0]}.png")
    assert "found one photograph" in refused(tmp_path)
    picture(0).save(tmp_path / "holiday.png")
    assert "no class is known" in refused(tmp_path)


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"'data' \(not installed: tensorflow_datasets, array"):
        load("imagenet_v2")


def write_tfds(root, splits, *, names):
    """A data set as TFDS prepares it, whose own code nobody has: flat pictures by their number."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import example_serializer, file_adapters, naming, writer

    record = file_adapters.FileFormat.ARRAY_RECORD
    features = tfds.features.FeaturesDict(
        {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=names)}
    )
    (folder := root / "flat_photos" / "1.0.0").mkdir(parents=True)
    identity = tfds.core.dataset_info.DatasetIdentity(
        name="flat_photos", version=tfds.core.Version("1.0.0"), data_dir=str(folder),
        module_name="",
    )  # fmt: skip
    info = tfds.core.DatasetInfo(builder=identity, features=features)
    serializer = example_serializer.ExampleSerializer(features.get_serialized_info())
    infos = []
    for split, numbers in splits.items():
        template = naming.ShardedFileTemplate(
            data_dir=folder, dataset_name="flat_photos", split=split,
            filetype_suffix="array_record",
        )  # fmt: skip
        records = writer.Writer(
            serializer, template, hash_salt=split, disable_shuffling=True,
            example_writer=writer.ExampleWriter(record),
        )  # fmt: skip
        for i in numbers:
            example = {"image": picture(i), "label": i % len(names)}
            records.write(i, features.encode_example(example))
        lengths, size = records.finalize()
        infos.append(tfds.core.SplitInfo(split, lengths, size, template))
    info.set_file_format(record)
    info.set_splits(tfds.core.splits.SplitDict(infos))
    info.write_to_directory(folder)


@pytest.fixture(scope="module")
def tfds_extra():
    pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("array_record")


# In another order than the networks': they are reported by name.
NAMES = [WNIDS[7], WNIDS[3], WNIDS[5]]


def test_one_split_is_shared_out(tmp_path, tfds_extra):
    write_tfds(tmp_path, {"test": range(6)}, names=NAMES)
    found = load("flat_photos", data_dir=tmp_path)
    assert found.train[:, 0, 0, 0].tolist() == [0, 2, 4]
    assert found.held_out[:, 0, 0, 0].tolist() == [1, 3, 5]
    assert found.held_out_labels.tolist() == [3, 7, 5]
    assert "6 of its test split" in found.words


def test_of_train_and_validation_the_second_is_held_out(tmp_path, tfds_extra):
    write_tfds(tmp_path, {"train": range(6), "validation": range(3)}, names=NAMES)
    found = load("flat_photos", data_dir=tmp_path, most=4)
    assert found.train[:, 0, 0, 0].tolist() == [0, 5]
    assert found.held_out[:, 0, 0, 0].tolist() == [0, 2]
    assert found.held_out_labels.tolist() == [7, 5]


def test_data_that_is_not_prepared_is_told(tmp_path, tfds_extra):
    with pytest.raises(UserError, match="--photos imagenet_v2: neither a folder nor a data set"):
        load("imagenet_v2", data_dir=tmp_path)
    with pytest.raises(UserError, match="neither a folder nor a data set"):
        load("no such name", data_dir=tmp_path)
    write_tfds(tmp_path, {"test": range(3)}, names=["cat", "dog"])
    with pytest.raises(UserError, match="found labels such as 'dog'"):
        load("flat_photos", data_dir=tmp_path)
