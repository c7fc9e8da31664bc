"""A network that is not the zoo's, ready to score pictures."""

from pathlib import Path

from qd_fool.errors import UserError
from qd_fool.lazy import load
from qd_fool.models.foreign.settings import READERS, PictureSettings, numbers
from qd_fool.models.scorer import Scorer


def load_foreign(
    name: str,
    *,
    weights: str | Path | None = None,
    picture: PictureSettings | None = None,
    precision: str = "float32",
) -> Scorer:
    """Read a network from somebody's file.

    Args:
      name: `KIND:PLACE`, such as "onnx:model.onnx".
      weights: Weights file; a kind whose file holds the weights takes none.
      picture: What the file does not say about its pictures.
      precision: "float32".

    Raises:
      UserError: The file cannot be read, or a setting does not go with it.
    """
    kind, _, place = name.partition(":")
    if not place:
        raise UserError(f"--model is {name!r}: expected a file behind the colon")
    if weights is not None:
        raise UserError(f"--weights {weights}: {name} holds its own weights")
    if precision != "float32":
        raise UserError(f"--precision is {precision!r}: {name} is read as float32 only")
    settings = picture or PictureSettings()
    return load(READERS[kind])(
        place,
        labels=settings.labels,
        input_size=settings.input_size,
        layout=settings.layout,
        channels=settings.channels,
        mean=numbers(settings.mean, "--mean"),
        std=numbers(settings.std, "--std"),
        outputs=settings.outputs,
        output=settings.output,
        name=name,
    )
