"""Photographs of every mode that Pillow writes, and the real sample, found by TFDS_DATA_DIR."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qd_fool.data.photographs import class_of, list_photographs, read_photograph, read_photographs
from qd_fool.errors import UserError
from qd_fool.models.labels import imagenet_labels

RGB = np.random.default_rng(0).integers(0, 256, (48, 40, 3), np.uint8)
GRAY = RGB[..., 0]
RAMP = np.linspace(0, 65535, 48 * 40).reshape(48, 40).astype(np.uint16)


@pytest.fixture
def sample(photographs) -> list[Path]:
    return list_photographs(photographs)


def write(path, array, **options):
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(path, **options)
    return path


def middle(array):
    """The 40x40 centre of a 48x40 picture."""
    return array[4:44]


def png(*chunks, size=(48, 40), depth=8, colour=2):
    """A PNG file by hand: what Pillow cannot write."""
    header = struct.pack(">IIBBBBB", size[1], size[0], depth, colour, 0, 0, 0)
    out = b"\x89PNG\r\n\x1a\n"
    for kind, data in [(b"IHDR", header), *chunks, (b"IEND", b"")]:
        out += struct.pack(">I", len(data)) + kind + data
        out += struct.pack(">I", zlib.crc32(kind + data))
    return out


def rows(array):
    """A PNG's pixel data, without filters."""
    data = array.astype(array.dtype.newbyteorder(">"))
    return b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in data))


def palette():
    return Image.fromarray(RGB).quantize(16)


def alpha():
    opaque = np.full((48, 40, 1), 255, np.uint8)
    opaque[20:24] = 0
    opaque[24:28] = 51
    return np.concatenate([RGB, opaque], 2)


def on_white():
    opaque = alpha()[..., 3:].astype(float) / 255
    return RGB * opaque + 255 * (1 - opaque)


def repeated(gray):
    return np.repeat(gray[..., None], 3, 2)


# What is written, what it is called, and what it is in RGB.
ODD = {
    "gray.jpg": (GRAY, "gray", None),
    "gray.png": (GRAY, "gray", repeated(GRAY)),
    "gray16.png": (RAMP, "16-bit gray", repeated(np.rint(RAMP / 257))),
    "bits.png": (GRAY > 127, "black and white", repeated(np.where(GRAY > 127, 255, 0))),
    "palette.png": (palette(), "palette", np.asarray(palette().convert("RGB"))),
    "palette.bmp": (palette(), "palette", np.asarray(palette().convert("RGB"))),
    "alpha.png": (alpha(), "RGB with alpha", on_white()),
    "grayalpha.png": (
        np.stack([GRAY, alpha()[..., 3]], 2),
        "gray with alpha",
        GRAY[..., None] * (alpha()[..., 3:] / 255) + 255 * (1 - alpha()[..., 3:] / 255),
    ),
    "cmyk.jpg": (Image.fromarray(RGB).convert("CMYK"), "CMYK", None),
}


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.webp", "b.PNG"])
def test_rgb_comes_back(name, tmp_path):
    path = write(tmp_path / name, RGB, **({"lossless": True} if name.endswith("webp") else {}))
    found = read_photograph(path, side=40)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, middle(RGB))


def test_told_from_its_content(tmp_path):
    path = write(tmp_path / "a.jpg", RGB, format="PNG")
    np.testing.assert_array_equal(read_photograph(path, side=40), middle(RGB))


@pytest.mark.parametrize("name", ODD)
def test_other_modes_are_refused_by_name(name, tmp_path):
    array, called, _ = ODD[name]
    path = write(tmp_path / name, array)
    with pytest.raises(UserError) as raised:
        read_photograph(path, side=40)
    assert str(raised.value) == (
        f"{path}: found {called}, expected one picture of 8-bit RGB (--convert makes it one)"
    )


@pytest.mark.parametrize("name", ODD)
def test_other_modes_are_converted_when_asked(name, tmp_path):
    array, _, expected = ODD[name]
    found = read_photograph(write(tmp_path / name, array), side=40, convert=True)
    if expected is None:  # JPEG loses noise: a picture of one colour says more
        flat = Image.new("RGB", (40, 48), (200, 120, 40))
        flat = flat.convert("CMYK" if "cmyk" in name else "L")
        found = read_photograph(write(tmp_path / name, flat), side=40, convert=True)
        colour = (200, 120, 40) if "cmyk" in name else (135, 135, 135)
        expected = np.full((48, 40, 3), colour)
    np.testing.assert_allclose(found, middle(np.broadcast_to(expected, RGB.shape)), atol=1)


def test_sixteen_bits_scale_to_eight_exactly(tmp_path):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    found = read_photograph(write(tmp_path / "a.png", values), side=256, convert=True)
    np.testing.assert_array_equal(found, repeated(np.rint(values / 257)))


def test_sixteen_bit_colours(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(rows(RGB.astype(np.uint16) * 257), depth=16))
    with pytest.raises(UserError, match=r"a\.png: found 16-bit RGB, expected"):
        read_photograph(path, side=40)
    np.testing.assert_array_equal(read_photograph(path, side=40, convert=True), middle(RGB))


def test_a_colour_that_is_transparent(tmp_path):
    path = tmp_path / "a.png"
    array = RGB.copy()
    array[10] = (1, 2, 3)
    path.write_bytes(png((b"tRNS", struct.pack(">HHH", 1, 2, 3)), rows(array)))
    with pytest.raises(UserError, match=r"found RGB with a transparent colour"):
        read_photograph(path, side=40)
    array[10] = 255
    np.testing.assert_array_equal(read_photograph(path, side=40, convert=True), middle(array))


def test_a_sixteen_bit_gray_that_is_transparent(tmp_path):
    path = tmp_path / "a.png"
    values = RAMP.copy()
    values[10] = 300
    path.write_bytes(png((b"tRNS", struct.pack(">H", 300)), rows(values), depth=16, colour=0))
    values[10] = 65535
    found = read_photograph(path, side=40, convert=True)
    np.testing.assert_array_equal(found, middle(repeated(np.rint(values / 257))))


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.gif", "a.jpg"])  # telephones write MPO
def test_several_frames(name, tmp_path):
    first = Image.new("RGB", (40, 48), (200, 120, 40))
    others = [Image.new("RGB", (40, 48), colour) for colour in ("blue", "green")]
    options = {"a.jpg": {"format": "MPO"}, "a.webp": {"lossless": True}}.get(name, {})
    path = tmp_path / name
    first.save(path, save_all=True, append_images=others, **options)
    with pytest.raises(UserError, match=r"found 3 frames, expected one picture of 8-bit RGB"):
        read_photograph(path, side=40)
    found = read_photograph(path, side=40, convert=True)
    np.testing.assert_allclose(found, np.full((40, 40, 3), (200, 120, 40)), atol=3)


@pytest.mark.parametrize("convert", [False, True])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.bmp", "a.gif"])
@pytest.mark.parametrize("keep", [0, 0.3, 0.9])
def test_cut_short(name, keep, convert, tmp_path):
    path = write(tmp_path / name, RGB)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(UserError) as raised:
        read_photograph(path, side=40, convert=convert)
    output = str(raised.value)
    assert output.startswith(f"{path}: ")
    assert "\n" not in output
    if name != "a.gif" or convert:  # a GIF is refused for its palette first
        assert "expected a whole picture" in output or "expected JPEG, PNG" in output


@pytest.mark.parametrize("convert", [False, True])
def test_damaged_within(convert, tmp_path):
    data = bytearray(write(tmp_path / "a.png", RGB).read_bytes())
    data[len(data) // 2] ^= 255
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.png: cannot be read \(.+\), expected a whole picture"):
        read_photograph(tmp_path / "a.png", side=40, convert=convert)


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
)
def test_not_a_picture(data, tmp_path):
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.jpg: not a picture of a known kind, expected JPEG"):
        read_photograph(tmp_path / "a.jpg", side=40, convert=True)


def test_no_such_file(tmp_path):
    with pytest.raises(UserError, match=r"a\.jpg: cannot be read \(No such file or directory\)"):
        read_photograph(tmp_path / "a.jpg", side=40)


@pytest.mark.parametrize("side", [10_000, 20_000])  # Pillow warns of one and refuses the other
def test_more_pixels_than_are_safe(side, tmp_path):
    (tmp_path / "a.png").write_bytes(png((b"IDAT", b""), size=(side, side)))
    with pytest.raises(UserError, match=r"a\.png: .* more pixels .*, expected up to 89,478,485"):
        read_photograph(tmp_path / "a.png", side=40, convert=True)


@pytest.mark.parametrize(
    ("height", "width", "fits"),
    [(32, 32, True), (31, 100, False), (100, 31, False), (32, 256, True), (257, 32, False)],
)
def test_small_and_long_pictures(height, width, fits, tmp_path):
    path = write(tmp_path / "a.png", np.zeros((height, width, 3), np.uint8))
    if fits:
        assert read_photograph(path, side=64).shape == (64, 64, 3)
    else:
        with pytest.raises(UserError, match=rf"a\.png: found {width}x{height} pixels, expected 32"):
            read_photograph(path, side=64, convert=True)


@pytest.mark.parametrize(
    ("width", "height", "resized", "left", "top"),
    # As torchvision 0.29's Resize(40, BICUBIC) and CenterCrop(40) gave them.
    [
        (100, 81, (49, 40), 4, 0),
        (81, 100, (40, 49), 0, 4),
        (60, 33, (72, 40), 16, 0),
        (40, 43, (40, 43), 0, 2),
        (40, 41, (40, 41), 0, 0),
        (45, 32, (56, 40), 8, 0),
    ],
)
def test_resized_and_cut_as_by_torchvision(width, height, resized, left, top, tmp_path):
    array = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    expected = np.asarray(Image.fromarray(array).resize(resized, Image.Resampling.BICUBIC))
    if resized == (width, height):
        expected = array
    found = read_photograph(write(tmp_path / "a.png", array), side=40)
    np.testing.assert_array_equal(found, expected[top : top + 40, left : left + 40])


def test_orientation_is_not_applied(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    path = write(tmp_path / "a.png", RGB, exif=turned)
    with Image.open(path) as image:
        assert image.getexif()[0x0112] == 6
    np.testing.assert_array_equal(read_photograph(path, side=40), middle(RGB))


def test_batches(tmp_path):
    arrays = np.random.default_rng(2).integers(0, 256, (5, 40, 40, 3), np.uint8)
    paths = [write(tmp_path / f"{i}.png", array) for i, array in enumerate(arrays)]
    batches = list(read_photographs(paths, side=40, batch=2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(batches), arrays)
    assert list(read_photographs([], side=40)) == []
    write(paths[4], GRAY)
    again = read_photographs(paths, side=40, batch=2)
    assert len(next(again)) == 2
    next(again)
    with pytest.raises(UserError, match=r"4\.png: found gray"):
        next(again)
    converted = list(read_photographs(paths, side=40, batch=5, convert=True))
    np.testing.assert_array_equal(converted[0][4], repeated(middle(GRAY)))


def test_listed_in_order(tmp_path):
    wanted = ["B.JPEG", "a.jpg", "b.png", "c.WebP", "d.bmp", "n01440764/x.JPEG"]
    for name in [*wanted, "notes.txt", "._a.jpg", "e.gif", "n01440764/deeper/y.jpg"]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "folder.jpg").mkdir()
    assert list_photographs(tmp_path) == [tmp_path / name for name in wanted]


def test_nothing_to_list(tmp_path):
    with pytest.raises(UserError, match=r"found no photographs, expected files that end in \.bmp"):
        list_photographs(tmp_path)
    with pytest.raises(UserError, match=r"absent: no such directory"):
        list_photographs(tmp_path / "absent")
    (tmp_path / "a.jpg").touch()
    with pytest.raises(UserError, match=r"a\.jpg: no such directory"):
        list_photographs(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    "name",
    [
        "n01443537.jpg",
        "n01443537_123.JPEG",
        "n01443537_goldfish.png",
        "val/n01443537/ILSVRC2012_val_00000293.JPEG",
        "n01440764/n01443537_1.JPEG",
    ],
)
def test_classes(name):
    assert class_of(Path(name), ("n01440764", "n01443537", "n01484850")) == 1


@pytest.mark.parametrize("name", ["cat.jpg", "n0144353.jpg", "n99999999.jpg", "n01440764x/a.jpg"])
def test_no_class(name):
    with pytest.raises(UserError, match=rf"{name}: no class .* one of 2 WNIDs such as n01440764"):
        class_of(Path("some") / name, ("n01440764", "n01443537"))


def test_the_real_sample(sample):
    wnids, _ = imagenet_labels()
    assert [class_of(path, wnids) for path in sample] == list(range(1000))
    batch = next(read_photographs(sample[::100], side=256))
    assert batch.shape == (10, 256, 256, 3)
    with Image.open(sample[900]) as image:
        np.testing.assert_array_equal(batch[9], np.asarray(image))
    assert read_photograph(sample[0], side=292).shape == (292, 292, 3)


def test_a_real_photograph_in_other_modes(sample, tmp_path):
    """Broad colours survive every way of storing them."""
    with Image.open(sample[0]) as image:
        picture = image.copy()
    expected = np.asarray(picture).astype(float)
    for mode, bound in {"CMYK": 3, "RGBA": 0, "P": 20}.items():
        stored = io.BytesIO()
        picture.convert(mode).save(stored, "JPEG" if mode == "CMYK" else "PNG", quality=95)
        (tmp_path / mode).write_bytes(stored.getvalue())
        found = read_photograph(tmp_path / mode, side=256, convert=True)
        assert np.abs(found - expected).mean() <= bound
