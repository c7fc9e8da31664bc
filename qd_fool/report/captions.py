"""Text and pictures fitted into a given width, for sheets, figures and films."""

from PIL import Image, ImageFont

NEARLY = 0.9
"""Share of a box that a picture enlarged by a whole factor must fill, else the factor is free."""
PIXEL_ART = 64
"""Largest side, in pixels, of a picture whose pixels stay visible when it is enlarged."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def font_of(size: int) -> Font:
    """Return Pillow's own font, so that a picture looks the same on any machine."""
    return ImageFont.load_default(size=size)


def fitted(text: str, font: Font, width: int) -> str:
    """Return a line of text, cut off with an ellipsis if it is wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1].rstrip()
    return text + "…"


def scaled(image: Image.Image, width: int, height: int) -> Image.Image:
    """Return a picture in RGB, as large as fits into a box, with the same proportions.

    A picture is reduced smoothly. It is enlarged by a whole factor if that nearly fills the box, so
    that all pixels become squares of one size. Otherwise it fills the box: with visible pixels if
    the picture is small, else smoothly.
    """
    factor = min(width / image.width, height / image.height)
    how = Image.Resampling.LANCZOS
    if factor >= 1:
        whole = int(factor) >= NEARLY * factor
        factor = int(factor) if whole else factor
        few = max(image.size) <= PIXEL_ART
        how = Image.Resampling.NEAREST if whole or few else Image.Resampling.BICUBIC
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.convert("RGB").resize(size, how)


def paste_centred(onto: Image.Image, image: Image.Image, box: tuple[int, int, int, int]) -> None:
    """Put a picture into the middle of a box `(x, y, width, height)`, as large as fits."""
    x, y, width, height = box
    fitting = scaled(image, width, height)
    onto.paste(fitting, (x + (width - fitting.width) // 2, y + (height - fitting.height) // 2))
