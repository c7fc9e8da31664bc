"""Tests of qd_fool.data.mnist; the real data are found by TFDS_DATA_DIR."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qd_fool.data import mnist

TRAIN_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]

# Run by itself, since another test may have imported anything. TFDS decodes here, not our code.
READ_BY_TFDS = """
import sys
import numpy as np
import tensorflow_datasets as tfds
for split in ("train", "test"):
    rows = list(tfds.data_source("mnist", split=split, data_dir=sys.argv[1], download=False))
    images = np.stack([row["image"] for row in rows])
    np.savez(sys.argv[2] + split, images=images, labels=[row["label"] for row in rows])
assert "tensorflow" not in sys.modules
"""

LOAD = """
import sys
from qd_fool.data import mnist
images, labels = mnist.load_mnist("test", data_dir=sys.argv[1], download=False)
print(len(images), len(labels))
assert "tensorflow" not in sys.modules
"""


def _write_idx(path: Path, array: np.ndarray) -> None:
    header = np.array([0x0800 + array.ndim, *array.shape], ">u4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes(), 1))


def _run(code: str, *args: str | Path) -> str:
    path = os.pathsep.join([str(Path(mnist.__file__).parent), *filter(None, sys.path)])
    env = os.environ | {"PYTHONPATH": path}
    command = [sys.executable, "-W", "error", "-c", code, *map(str, args)]
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def idx_dir(tmp_path: Path) -> Path:
    """Folder with IDX files of 40 train and 15 test images; pixel (0, 0) is the image's index."""
    folder = tmp_path / "idx"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for prefix, count in {"train": 40, "t10k": 15}.items():
        images = rng.integers(0, 256, (count, 28, 28), np.uint8)
        images[:, 0, 0] = np.arange(count)
        _write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", images)
        _write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", rng.integers(0, 10, count, np.uint8))
    return folder


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    pooch = pytest.importorskip("pooch")

    def refuse(*args: object, **kwargs: object) -> None:
        raise ConnectionError("no network here")

    monkeypatch.setattr(pooch, "retrieve", refuse)


@pytest.fixture(scope="module")
def real_dir() -> Path:
    folder = mnist._data_root(None)
    if not mnist._is_prepared(folder / mnist.FOLDER):
        reason = f"no prepared MNIST in {folder} (TFDS_DATA_DIR)"
        if os.environ.get("QD_FOOL_REQUIRE_DATA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.mark.parametrize("shape", [(7,), (3, 28, 28), (2, 5)])
def test_read_idx_returns_what_was_written(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    _write_idx(tmp_path / "a.gz", array)
    found = mnist.read_idx(tmp_path / "a.gz", ndim=len(shape))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x05abc", mtime=0), "found 11 bytes, expected 13"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x02abc", mtime=0), "found 11 bytes, expected 10"),
        (
            gzip.compress(b"\0\0\x08\x03\0\0\0\x03abc", mtime=0),
            "magic number 2051, .* magic number 2049",
        ),
        (gzip.compress(b"\0\0\x08\x01", mtime=0), "found 4 bytes"),
        (gzip.compress(b"", mtime=0), "found 0 bytes"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x03abc", mtime=0)[:-12], "whole gzip"),
        (b"not gzip", "whole gzip"),
        (None, "No such file"),
    ],
)
def test_read_idx_names_file_and_fault(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "labels.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(mnist.UserError, match=message) as raised:
        mnist.read_idx(path, ndim=1)
    assert str(path) in str(raised.value)


def test_prepare_is_read_back_bit_equal(tmp_path: Path, idx_dir: Path) -> None:
    folder = mnist.prepare_mnist(tmp_path / "tfds", idx_dir=idx_dir)
    assert folder == tmp_path / "tfds" / "mnist" / "3.0.1"
    assert sorted(path.name for path in folder.iterdir()) == [
        "dataset_info.json",
        "features.json",
        "mnist-test.array_record-00000-of-00001",
        "mnist-train.array_record-00000-of-00001",
    ]
    assert [path.name for path in (tmp_path / "tfds").iterdir()] == ["mnist"]  # no leftovers
    _run(READ_BY_TFDS, tmp_path / "tfds", tmp_path / "read-")
    for split, prefix in mnist.SPLIT_PREFIX.items():
        images, labels = mnist.load_mnist(split, data_dir=tmp_path / "tfds", download=False)
        assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
        assert images.shape == (len(labels), 28, 28, 1)
        with np.load(tmp_path / f"read-{split}.npz") as read:
            np.testing.assert_array_equal(images, read["images"])
            np.testing.assert_array_equal(labels, read["labels"])
        written = mnist.read_idx(idx_dir / f"{prefix}-images-idx3-ubyte.gz", ndim=3)
        index = images[:, 0, 0, 0]
        np.testing.assert_array_equal(np.sort(index), np.arange(len(written)))
        np.testing.assert_array_equal(images[..., 0], written[index])
        written = mnist.read_idx(idx_dir / f"{prefix}-labels-idx1-ubyte.gz", ndim=1)
        np.testing.assert_array_equal(labels, written[index])


def test_prepare_leaves_a_prepared_folder(tmp_path: Path, idx_dir: Path) -> None:
    folder = mnist.prepare_mnist(tmp_path, idx_dir=idx_dir)
    before = (folder / "dataset_info.json").stat().st_mtime_ns
    assert mnist.prepare_mnist(tmp_path, idx_dir=tmp_path / "missing") == folder
    assert (folder / "dataset_info.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("t10k-images-idx3-ubyte.gz", np.zeros((15, 27, 28), np.uint8), r"\(15, 27, 28\)"),
        ("t10k-labels-idx1-ubyte.gz", np.zeros(14, np.uint8), "14 labels.* expected 15"),
        ("t10k-labels-idx1-ubyte.gz", np.full(15, 10, np.uint8), "up to 10, expected 15 in 0..9"),
    ],
)
def test_prepare_refuses_wrong_idx_and_writes_nothing(
    tmp_path: Path, idx_dir: Path, name: str, array: np.ndarray, message: str
) -> None:
    _write_idx(idx_dir / name, array)
    with pytest.raises(mnist.UserError, match=message) as raised:
        mnist.prepare_mnist(tmp_path / "tfds", idx_dir=idx_dir)
    assert str(idx_dir / name) in str(raised.value)
    assert not (tmp_path / "tfds").exists()


def test_prepare_refuses_a_folder_in_use(tmp_path: Path, idx_dir: Path) -> None:
    folder = tmp_path / "tfds" / mnist.FOLDER
    folder.mkdir(parents=True)
    (folder / "mnist-test.tfrecord-00000-of-00001").touch()
    with pytest.raises(mnist.UserError, match=r"no other files"):
        mnist.prepare_mnist(tmp_path / "tfds", idx_dir=idx_dir)
    assert len(list(folder.iterdir())) == 1
    assert [path.name for path in (tmp_path / "tfds").iterdir()] == ["mnist"]


def test_prepare_crash_leaves_nothing(
    tmp_path: Path, idx_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mnist.os, "rename", crash)
    with pytest.raises(KeyboardInterrupt):
        mnist.prepare_mnist(tmp_path / "tfds", idx_dir=idx_dir)
    assert [path.name for path in (tmp_path / "tfds").rglob("*")] == ["mnist"]


def test_load_prepares_a_missing_dataset_with_a_notice(
    tmp_path: Path,
    idx_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(mnist, "_download", lambda root: idx_dir)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    images, _ = mnist.load_mnist("test")
    assert images.shape == (15, 28, 28, 1)
    assert f"MNIST is not in {tmp_path / 'tfds'}" in capsys.readouterr().err
    mnist.load_mnist("train")
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("no_network")
def test_no_network_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(mnist.UserError, match=r"cannot download .*TFDS_DATA_DIR") as raised:
        mnist.load_mnist("test", data_dir=tmp_path / "none")
    assert str(tmp_path / "none") in str(raised.value)
    assert isinstance(raised.value.__cause__, ConnectionError)
    assert not (tmp_path / "none").exists()


def test_download_asks_for_the_stated_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pooch = pytest.importorskip("pooch")
    import tensorflow_datasets as tfds

    asked = {}
    monkeypatch.delenv("QD_FOOL_CACHE", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / project)
    monkeypatch.setattr(
        pooch, "retrieve", lambda url, known_hash, **kwargs: asked.update({url: known_hash})
    )
    assert mnist._download(tmp_path) == tmp_path / "qd-fool"
    stated = Path(tfds.__file__).parent / "url_checksums" / "mnist.txt"
    rows = [line.split("\t") for line in stated.read_text().splitlines()]
    assert asked == {row[0]: f"sha256:{row[2]}" for row in rows}


def test_files_in_the_cache_of_earlier_versions_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pooch = pytest.importorskip("pooch")
    monkeypatch.setenv("QD_FOOL_CACHE", str(tmp_path / "new"))
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / project)
    names = [f"{name}.gz" for name in mnist.SHA256]
    (tmp_path / "qd_fool").mkdir()
    for name in names[:3]:
        (tmp_path / "qd_fool" / name).write_bytes(name.encode())
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / names[0]).write_bytes(b"newer")
    found = {}

    def retrieve(url: str, known_hash: str, *, fname: str, path: Path, progressbar: bool) -> None:
        there = path / fname
        found[fname] = there.read_bytes() if there.exists() else None

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert mnist._download(tmp_path) == tmp_path / "new"
    wanted = [b"newer", names[1].encode(), names[2].encode(), None]
    assert found == dict(zip(names, wanted, strict=True))


def test_missing_without_download_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(mnist.UserError, match=r"dataset_info.json.*TFDS_DATA_DIR") as raised:
        mnist.load_mnist("train", data_dir=tmp_path, download=False)
    assert str(tmp_path) in str(raised.value)


def test_unknown_split_is_a_user_error() -> None:
    with pytest.raises(mnist.UserError, match=r"'validation'.*train.*test"):
        mnist.load_mnist("validation")


def test_truncated_records_are_a_user_error(tmp_path: Path, idx_dir: Path) -> None:
    folder = mnist.prepare_mnist(tmp_path, idx_dir=idx_dir)
    path = folder / "mnist-test.array_record-00000-of-00001"
    path.write_bytes(path.read_bytes()[:70_000])
    with pytest.raises(mnist.UserError, match=r"remove that folder") as raised:
        mnist.load_mnist("test", data_dir=tmp_path, download=False)
    assert str(folder) in str(raised.value)


def test_decode_png_takes_other_layouts() -> None:
    import io

    from PIL import Image, PngImagePlugin

    pixels = np.random.default_rng(2).integers(0, 256, (28, 28), np.uint8)
    extra = PngImagePlugin.PngInfo()
    extra.add_text("key", "a chunk before the data")
    for options in ({}, {"pnginfo": extra}, {"optimize": True}):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="png", **options)
        assert mnist._decode_png(buffer.getvalue()) == pixels.tobytes()


@pytest.mark.parametrize(("split", "counts"), [("train", TRAIN_COUNTS), ("test", TEST_COUNTS)])
def test_real_data(real_dir: Path, split: str, counts: list[int]) -> None:
    images, labels = mnist.load_mnist(split, download=False)
    assert images.shape == (sum(counts), 28, 28, 1)
    assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
    assert np.bincount(labels).tolist() == counts
    assert (images.min(), images.max()) == (0, 255)
    assert np.median(images) == 0  # light strokes on a dark background


def test_real_data_agrees_with_tfds(real_dir: Path) -> None:
    import tensorflow_datasets as tfds

    images, labels = mnist.load_mnist("test", download=False)
    source = tfds.data_source("mnist", split="test", data_dir=real_dir, download=False)
    for index in range(0, len(source), 97):
        np.testing.assert_array_equal(images[index], source[index]["image"])
        assert labels[index] == source[index]["label"]


def test_prepare_gives_the_order_of_tfds(tmp_path: Path, real_dir: Path, idx_dir: Path) -> None:
    from tensorflow_datasets.core import hashing

    images, labels = mnist.load_mnist("test", data_dir=real_dir, download=False)
    order = sorted(range(len(labels)), key=hashing.Hasher("test").hash_key)
    idx_images, idx_labels = np.empty_like(images), np.empty(len(labels), np.uint8)
    idx_images[order], idx_labels[order] = images, labels
    assert idx_labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]  # as in LeCun's file
    _write_idx(idx_dir / "t10k-images-idx3-ubyte.gz", idx_images[..., 0])
    _write_idx(idx_dir / "t10k-labels-idx1-ubyte.gz", idx_labels)
    mnist.prepare_mnist(tmp_path / "tfds", idx_dir=idx_dir)
    again = mnist.load_mnist("test", data_dir=tmp_path / "tfds", download=False)
    np.testing.assert_array_equal(again[0], images)
    np.testing.assert_array_equal(again[1], labels)


def test_loading_imports_no_tensorflow(real_dir: Path) -> None:
    assert _run(LOAD.format(module=mnist.__name__), real_dir).split() == ["10000", "10000"]
