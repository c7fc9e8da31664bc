"""MNIST as NumPy arrays: read through tensorflow-datasets (TFDS), without TensorFlow."""

import gzip
import importlib.util
import io
import os
import shutil
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from qd_fool.errors import UserError
from qd_fool.files import cache_dir, replacing

StrPath = str | os.PathLike[str]

# Path of MNIST within the data folder of TFDS: name and version of the builder.
VERSION = "3.0.1"
FOLDER = Path("mnist", VERSION)

# URL: `_MNIST_URL` in tensorflow_datasets/image_classification/mnist.py (the CVDF mirror).
URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"
# SHA-256 of each file's gzip: tensorflow_datasets/url_checksums/mnist.txt (TFDS 4.9.10).
SHA256 = {
    "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
EXTRA = ("tensorflow_datasets", "array_record", "pooch")
SPLIT_PREFIX = {"train": "train", "test": "t10k"}
# PNG signature and IHDR chunk of an image of 28 x 28, 8-bit grey, not interlaced.
PNG_HEADER = bytes.fromhex("89504e470d0a1a0a0000000d494844520000001c0000001c080000000057668048")


def load_mnist(
    split: str, *, data_dir: StrPath | None = None, download: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and labels of one split, in TFDS's (shuffled, fixed) order.

    Args:
        split: 'train' (60,000 images) or 'test' (10,000).
        data_dir: TFDS data folder; default `TFDS_DATA_DIR`, else `~/tensorflow_datasets`.
        download: Whether to download and prepare MNIST where `data_dir` lacks it.

    Returns:
        Images uint8 (n, 28, 28, 1) in 0..255 (0 is background), labels int32 (n,) in 0..9.

    Raises:
        UserError: There is no such split, or MNIST is missing or cannot be read.
    """
    if missing := [name for name in EXTRA if importlib.util.find_spec(name) is None]:
        raise UserError(
            f"reading MNIST needs the extra 'data' (not installed: {', '.join(missing)}): "
            'pip install "qd-fool[data]"'
        )
    if split not in SPLIT_PREFIX:
        raise UserError(f"Unknown MNIST split {split!r}: expected one of {list(SPLIT_PREFIX)}.")
    root = _data_root(data_dir)
    folder = root / FOLDER
    if not _is_prepared(folder):
        if not download:
            raise UserError(
                f"No MNIST in {str(root)!r}: expected {str(FOLDER)!r} there with dataset_info.json"
                " and array_record files; set TFDS_DATA_DIR to a folder that has it, allow the"
                " download, or call prepare_mnist with idx_dir set to a folder that holds"
                f" {', '.join(name + '.gz' for name in SHA256)}."
            )
        print(f"MNIST is not in {root}: preparing it there (once).", file=sys.stderr)
        prepare_mnist(root)

    # Imported here, because TFDS takes most of a second to import.
    import tensorflow_datasets as tfds
    from tensorflow_datasets.proto import tf_example_pb2

    try:
        # Raw records, because TFDS's own decoding of each item takes five times as long.
        source = tfds.data_source(
            f"mnist:{VERSION}",
            split=split,
            data_dir=root,
            download=False,
            deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES,
        )
        pixels, labels = bytearray(), []
        for record in source.__getitems__(range(len(source))):
            feature = tf_example_pb2.Example.FromString(record).features.feature
            pixels += _decode_png(feature["image"].bytes_list.value[0])
            labels.append(feature["label"].int64_list.value[0])
        images = np.frombuffer(pixels, np.uint8).reshape(len(labels), 28, 28, 1)
    except (OSError, RuntimeError, ValueError, LookupError, AssertionError) as error:
        raise UserError(
            f"Cannot read the MNIST {split} split in {str(folder)!r}, expected as TFDS writes it"
            f" ({type(error).__name__}: {' '.join(str(error).split())}); remove that folder and"
            " load again to have it prepared anew."
        ) from error
    return images, np.array(labels, np.int32)


def prepare_mnist(data_dir: StrPath | None, *, idx_dir: StrPath | None = None) -> Path:
    """Write MNIST as TFDS would (array_record, same order), and return the folder.

    The folder appears complete or not at all. A folder that is complete already stays as it is.

    Args:
        data_dir: TFDS data folder, made if missing; None as in `load_mnist`.
        idx_dir: Folder with the four gzip IDX files (`SHA256`, `.gz`), which may hold any number of
            images; by default they are downloaded (hash-checked) into the user's cache.

    Raises:
        UserError: The download failed, an IDX file is missing or corrupt, or `data_dir` is not
            writable.
    """
    root = _data_root(data_dir)
    folder = root / FOLDER
    if _is_prepared(folder):
        return folder
    # All files are parsed before anything is written.
    source = _download(root) if idx_dir is None else Path(idx_dir)
    splits = {split: _read_split(prefix, idx_dir=source) for split, prefix in SPLIT_PREFIX.items()}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".mnist-", dir=root) as temporary:
            _write_tfds(splits, data_dir=Path(temporary))
            os.rename(Path(temporary) / FOLDER, folder)
    except (OSError, RuntimeError) as error:  # array_record raises RuntimeError
        # Another process may have written the folder in the meantime: that is as good.
        if not _is_prepared(folder):
            raise UserError(
                f"Cannot write MNIST to {str(folder)!r} ({error}); expected a writable place with"
                " 30 MB free and no other files in that folder, so make it so or set TFDS_DATA_DIR."
            ) from error
    return folder


def read_idx(path: StrPath, *, ndim: int) -> np.ndarray:
    """Return the uint8 array of a gzip IDX file (yann.lecun.com/exdb/mnist) with `ndim` axes.

    Raises:
        UserError: The file is missing, is no whole gzip file, has another magic number, or has
            another length than its header states.
    """
    try:
        data = gzip.decompress(Path(path).read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            f"Cannot read {str(path)!r} ({error or type(error).__name__}); expected a whole gzip"
            " IDX file of MNIST, so put it there again."
        ) from error
    # Big-endian: magic number (two zero bytes, type 8 = uint8, number of axes), then the sizes.
    magic, start = 0x0800 + ndim, 4 + 4 * ndim
    found = int.from_bytes(data[:4])
    if len(data) < start or found != magic:
        raise UserError(
            f"Corrupt IDX file {str(path)!r}: found {len(data)} bytes with magic number {found},"
            f" expected {start} or more with magic number {magic}."
        )
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", ndim, 4))
    expected = start + int(np.prod(shape, dtype=object))
    if len(data) != expected:
        raise UserError(
            f"Corrupt IDX file {str(path)!r}: found {len(data)} bytes, expected {expected} for"
            f" the shape {shape} in its header."
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _data_root(data_dir: StrPath | None) -> Path:
    """The TFDS data folder. The environment is read at each call; TFDS reads it once, on import."""
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def _is_prepared(folder: Path) -> bool:
    files = ["dataset_info.json", *(f"mnist-{split}.array_record-*" for split in SPLIT_PREFIX)]
    return all(any(folder.glob(pattern)) for pattern in files)


def _download(root: Path) -> Path:
    """Download the files that the cache lacks, and return the cache folder.

    Pooch checks the hash of each file, and writes it whole or not at all.
    """
    import pooch

    # Earlier versions kept these files in a cache of another name.
    cache, former = cache_dir(), Path(pooch.os_cache("qd_fool"))
    for name, digest in SHA256.items():
        url, fname = f"{URL}{name}.gz", f"{name}.gz"
        try:
            if (former / fname).is_file() and not (cache / fname).exists():
                cache.mkdir(parents=True, exist_ok=True)
                with replacing(cache / fname) as partial:
                    shutil.copyfile(former / fname, partial)
            pooch.retrieve(url, f"sha256:{digest}", fname=fname, path=cache, progressbar=True)
        except (OSError, ValueError) as error:  # network or disk; wrong hash
            raise UserError(
                f"No MNIST in {str(root)!r}, and cannot download {url} ({type(error).__name__}),"
                f" expected with SHA-256 {digest}; put that file into {str(cache)!r} by hand, or"
                f" set TFDS_DATA_DIR to a folder that has {str(FOLDER)!r} as TFDS prepares it."
            ) from error
    return cache


def _read_split(prefix: str, *, idx_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 (n, 28, 28) and labels uint8 (n,) of a pair of IDX files."""
    paths = [idx_dir / f"{prefix}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1")]
    images, labels = read_idx(paths[0], ndim=3), read_idx(paths[1], ndim=1)
    if images.shape[1:] != (28, 28) or not len(images):
        raise UserError(
            f"Corrupt IDX file {str(paths[0])!r}: found shape {images.shape}, expected (n, 28, 28)."
        )
    if len(labels) != len(images) or labels.max() > 9:
        raise UserError(
            f"Corrupt IDX file {str(paths[1])!r}: found {len(labels)} labels up to"
            f" {labels.max(initial=0)}, expected {len(images)} in 0..9."
        )
    return images, labels


def _write_tfds(splits: dict[str, tuple[np.ndarray, np.ndarray]], *, data_dir: Path) -> None:
    """Write `splits` below `data_dir` with the parts of TFDS that need no TensorFlow.

    `builder.download_and_prepare` would be shorter, but needs TensorFlow to decode IDX and to
    encode PNG.
    """
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import example_serializer, file_adapters, naming, writer

    array_record = file_adapters.FileFormat.ARRAY_RECORD
    info = tfds.builder(f"mnist:{VERSION}", data_dir=data_dir, file_format=array_record).info
    serializer = example_serializer.ExampleSerializer(info.features.get_serialized_info())
    output = writer.ExampleWriter(array_record)
    (folder := data_dir / FOLDER).mkdir(parents=True)
    infos = []
    for split, (images, labels) in splits.items():
        template = naming.ShardedFileTemplate(
            data_dir=folder, dataset_name="mnist", split=split, filetype_suffix="array_record"
        )
        # This salt and the index as key give the order of TFDS's own MNIST.
        records = writer.Writer(
            serializer, template, hash_salt=split, disable_shuffling=False, example_writer=output
        )
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            # A Pillow image, because TFDS would encode an array with TensorFlow.
            example = {"image": Image.fromarray(image), "label": int(label)}
            records.write(index, info.features.encode_example(example))
        lengths, size = records.finalize()
        infos.append(tfds.core.SplitInfo(split, lengths, size, template))
    info.set_splits(tfds.core.splits.SplitDict(infos))
    info.write_to_directory(folder)


def _decode_png(png: bytes) -> bytes:
    """Return the 784 grey values of a PNG."""
    # Encoders write MNIST's pictures as one IDAT chunk, then IEND. To give the data of this chunk
    # to Pillow's decoder takes a third of the time of Image.open, which parses the chunks in
    # Python. The other chunks take 57 bytes of the file.
    if png.startswith(PNG_HEADER + max(0, len(png) - 57).to_bytes(4) + b"IDAT"):
        return Image.frombytes("L", (28, 28), png[41:-16], "zip", "L", 0).tobytes()
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        return image.convert("L").tobytes()
