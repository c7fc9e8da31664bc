"""What is posted to a service, and how its answer is read. Nothing is unpickled."""

import base64
import io
import json
from typing import Any

import numpy as np
from PIL import Image

POSTS = ("npy", "png")
"""Forms of a request: an array in NumPy's format, or JSON with PNGs."""

KEYS = ("scores", "logits", "probabilities", "predictions", "outputs")
"""Keys of an answer in JSON, any of which may hold one row of numbers per picture."""

NPY = "application/x-npy"


class BadAnswerError(Exception):
    """An answer that cannot be read, such as half of one."""


def encode(pictures: np.ndarray, post: str) -> tuple[bytes, str]:
    """Return the body of a request, and its content type.

    Args:
      pictures: Array of pictures; 8-bit and `(n, height, width, channels)` for "png".
      post: One of `POSTS`.
    """
    if post == "npy":
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.ascontiguousarray(pictures), allow_pickle=False)
        return buffer.getvalue(), NPY
    images = []
    for picture in pictures:
        buffer = io.BytesIO()
        image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
        image.save(buffer, "PNG", compress_level=1)  # noise does not get smaller by more work
        images.append(base64.b64encode(buffer.getvalue()).decode("ascii"))
    return json.dumps({"images": images}).encode("ascii"), "application/json"


def decode(body: bytes) -> Any:
    """Return the numbers of an answer, an array or a list of rows.

    Args:
      body: Body of the answer: an array in NumPy's format, or JSON: the rows themselves, or an
        object that holds them under one of `KEYS`.

    Raises:
      BadAnswerError: The body is neither.
    """
    if body.startswith(b"\x93NUMPY"):
        try:
            return np.lib.format.read_array(io.BytesIO(body), allow_pickle=False)
        except Exception as error:  # NumPy's headers are Python, whose tokenizer has its own errors
            raise BadAnswerError(f"an array that cannot be read ({error})") from error
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        start = body[:20].decode("utf-8", "replace")
        raise BadAnswerError(f"neither JSON nor a NumPy array, it begins with {start!r}") from error
    if isinstance(found, dict):
        keys = [key for key in KEYS if key in found]
        if len(keys) != 1:
            raise BadAnswerError(
                f"an object with the keys {', '.join(map(str, found)) or 'none'}: expected rows of "
                f"numbers under one of {', '.join(KEYS)}"
            )
        found = found[keys[0]]
    if not isinstance(found, list):
        raise BadAnswerError(f"a {type(found).__name__}: expected one row of numbers per picture")
    return found
