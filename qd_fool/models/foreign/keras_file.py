"""A network from a file of Keras, `keras:FILE`, as a pure JAX function and its parameters.

Keras 3 computes with JAX if its backend is JAX: `stateless_call` is then a JAX function of the
model's variables. TensorFlow is not needed. Files of Keras 2 (`.h5`) are read, too.
"""

import functools
import hashlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from qd_fool.errors import UserError
from qd_fool.models.foreign.convolutions import with_own_convolutions
from qd_fool.models.foreign.labels import class_names
from qd_fool.models.foreign.onnx.picture import Picture
from qd_fool.models.foreign.outputs import OUTPUTS, Logits, is_multilabel, to_logits
from qd_fool.models.foreign.pictures import (
    CHANNELS,
    LARGEST,
    LAYOUTS,
    Numbers,
    check_choice,
    per_channel,
)
from qd_fool.models.scorer import Scorer
from qd_fool.models.sides import Size, pictures_at_once, sides_of, size_in_words, size_of

BACKEND = "KERAS_BACKEND"
"""Environment variable that names the software below Keras."""

SCALERS = ("Rescaling", "Normalization")
"""Layers with which a model scales its bytes itself."""

CHUNK = 4
"""Pictures of 224x224 pixels per call, by default."""


def from_keras_file(
    place: str,
    *,
    name: str,
    labels: Path | None,
    input_size: Size | None,
    layout: str,
    channels: str,
    mean: Numbers | None,
    std: Numbers | None,
    outputs: str,
    output: str | None,
) -> Scorer:
    """Read a classifier from a file of Keras. No code of the file is run.

    Args:
      place: Path of the file, `.keras` or `.h5`.
      name: Name of the network.
      labels: File of labels, or None.
      input_size: Side of the pictures, or height and width, if the file leaves them open.
      layout: Order of the axes; "auto" is the file's.
      channels: Order of the channels; "auto" is RGB, or gray for one channel.
      mean: One number or one per channel, in 0..255. None: 0.
      std: One number or one per channel, in 0..255. None: 255, or 1 for a model that scales bytes.
      outputs: Kind of the numbers; "auto": the logits before a final softmax or sigmoid.
      output: Name of the output to read, if the model has several.

    Raises:
      UserError: The file cannot be read, is no classifier, or contradicts a flag.
    """
    check_choice("--layout", layout, LAYOUTS)
    check_choice("--channels", channels, CHANNELS)
    check_choice("--outputs", outputs, OUTPUTS)
    path = Path(place)
    keras = _import_keras(name)
    model, sha256 = _read(keras, path)
    model, ending = _without_softmax(
        keras, _with_one_output(keras, model, output, source=place), outputs
    )
    picture = _picture(keras, model, input_size, layout, channels, mean, std, source=place)
    params = {
        "trained": [jnp.asarray(v.value) for v in model.trainable_variables],
        "fixed": [jnp.asarray(v.value) for v in model.non_trainable_variables],
    }
    count = _count(model, params, picture, source=place)
    names, wnids = class_names(
        labels, count=max(count, 2), metadata={}, binary=count == 1, source=place
    )
    return Scorer(
        name=name,
        params=params,
        apply=functools.partial(
            _apply, model, picture.layout, to_logits(ending, outputs, count=count, source=place)
        ),
        preprocess=picture.preprocess,
        image_shape=picture.shape,
        input_size=size_of(*picture.sides),
        class_names=names,
        chunk=pictures_at_once(picture.sides, CHUNK),
        wnids=wnids,
        weights=f"{path.name}, by Keras {keras.__version__} on JAX",
        weights_sha256=sha256,
        mean=picture.black,
        multilabel=is_multilabel(ending, outputs, count=count),
    )


def _import_keras(name: str) -> Any:
    """Keras with JAX as its backend.

    Raises:
      UserError: Keras is not installed, or has another backend already.
    """
    if importlib.util.find_spec("keras") is None:
        raise UserError(f"--model {name} needs the package keras: pip install 'qd-fool[keras]'")
    if "keras" not in sys.modules:
        os.environ[BACKEND] = "jax"
    import keras

    if not hasattr(keras, "version") or int(keras.__version__.partition(".")[0]) < 3:
        raise UserError(f"--model {name} needs Keras 3: found {keras.__version__}")
    if keras.backend.backend() != "jax":
        raise UserError(
            f"--model {name}: Keras computes with {keras.backend.backend()} in this process: set "
            f"{BACKEND}=jax before it is imported"
        )
    return keras


def _read(keras: Any, path: Path) -> tuple[Any, str]:
    """The model in a file, and the SHA-256 of the file.

    Raises:
      UserError: The file cannot be read, or wants to run code.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        raise UserError(f"{path}: expected a file of Keras that ends in .keras, .h5 or .hdf5")
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras and h5py raise errors of many types
        reason = " ".join(str(error).split())
        if "Lambda" in reason:
            reason = "it holds a Lambda layer, which is code, and files run no code here"
        raise UserError(f"{path}: Keras does not take it ({reason[:300]})") from error
    return model, hashlib.sha256(content).hexdigest()


def _with_one_output(keras: Any, model: Any, output: str | None, *, source: str) -> Any:
    """The model, with only the output to read.

    Raises:
      UserError: There are several outputs, and none is chosen, or there is no such output.
    """
    names = list(getattr(model, "output_names", []) or [])
    tensors = list(getattr(model, "outputs", []) or [])
    if len(getattr(model, "inputs", None) or []) != 1 or not tensors:
        raise UserError(f"{source}: expected a model with one input, a picture")
    if output is None and len(tensors) == 1:
        return model
    if output is None:
        raise UserError(
            f"{source}: several outputs ({', '.join(names)}): choose one with --output NAME"
        )
    if output not in names:
        raise UserError(f"--output {output}: the outputs of {source} are {', '.join(names)}")
    return keras.Model(model.inputs, tensors[names.index(output)])


def _without_softmax(keras: Any, model: Any, outputs: str) -> tuple[Any, str]:
    """The model up to its logits, and "softmax", "sigmoid" or "" for what was taken away."""
    if outputs in ("logits", "label-logits"):
        return model, ""
    whole, last = model, model.outputs[0]._keras_history.operation
    while isinstance(last, keras.Model):  # a model within a model
        whole, last = last, last.outputs[0]._keras_history.operation
    if isinstance(last, keras.layers.Softmax) and whole is model:
        before = last._inbound_nodes[-1].input_tensors[0]
        return keras.Model(model.inputs, before), "softmax"
    named = {keras.activations.softmax: "softmax", keras.activations.sigmoid: "sigmoid"}
    ending = named.get(getattr(last, "activation", None), "")
    if ending:
        last.activation = keras.activations.linear
    return model, ending


def _picture(
    keras: Any,
    model: Any,
    input_size: Size | None,
    layout: str,
    channels: str,
    mean: Numbers | None,
    std: Numbers | None,
    *,
    source: str,
) -> Picture:
    """The input of a model, from the file and from flags.

    Raises:
      UserError: The input is no picture, or file and flags disagree.
    """
    shape = tuple(model.inputs[0].shape)
    if len(shape) != 4:
        raise UserError(f"{source}: the input has {len(shape)} axes: expected four")
    if layout == "auto":
        layout = "nchw" if shape[1] in (1, 3) and shape[3] not in (1, 3) else "nhwc"
    depth, stated = (shape[1], shape[2:]) if layout == "nchw" else (shape[3], shape[1:3])
    if depth not in (1, 3):
        raise UserError(f"{source}: the input has {depth} channels in {layout}: expected 1 or 3")
    wanted = (None, None) if input_size is None else sides_of(input_size)
    height, width = (a if a is not None else b for a, b in zip(stated, wanted, strict=True))
    if height is None or width is None:
        raise UserError(
            f"{source}: the file leaves open how large its pictures are: say so with --input-size"
        )
    if input_size is not None and (height, width) != wanted:
        raise UserError(
            f"--input-size {size_in_words(input_size)}: the network of {source} takes "
            f"{height}x{width} pixels"
        )
    if max(height, width) > LARGEST:
        raise UserError(f"{source}: pictures of {height}x{width} pixels: expected up to {LARGEST}")
    if depth == 1 and channels in ("rgb", "bgr"):
        raise UserError(f"--channels {channels}: the network of {source} takes gray pictures")
    if channels == "auto":
        channels = "gray" if depth == 1 else "rgb"
    scales = any(type(layer).__name__ in SCALERS for layer in model._flatten_layers())
    return Picture(
        layout=layout,
        sides=(height, width),
        channels=channels,
        depth=depth,
        mean=per_channel("--mean", mean, (0.0,) * depth, depth),
        std=per_channel("--std", std, (1.0 if scales else 255.0,) * depth, depth, positive=True),
        batch=None,
    )


def _forward(
    model: Any, layout: str, params: Any, x: Float[Array, "n height width depth"]
) -> Float[Array, "n numbers"]:
    x = jnp.transpose(x, (0, 3, 1, 2)) if layout == "nchw" else x
    with jax.numpy_rank_promotion("allow"):  # Keras' layers rely on it

        def call(params: Any, x: Array) -> Array:
            return model.stateless_call(params["trained"], params["fixed"], x, training=False)[0]

        found = with_own_convolutions(call)(params, x)
    return jnp.asarray(found, jnp.float32).reshape(len(x), -1)


def _apply(
    model: Any, layout: str, logits: Logits, params: Any, x: Float[Array, "n height width depth"]
) -> Float[Array, "n classes"]:
    return logits(_forward(model, layout, params, x))


def _count(model: Any, params: Any, picture: Picture, *, source: str) -> int:
    """Numbers that the model gives per picture.

    Raises:
      UserError: The model cannot run, or gives more than one axis of numbers.
    """
    axes = [side for side in model.outputs[0].shape[1:] if side != 1]
    if len(axes) > 1:
        raise UserError(
            f"{source}: numbers of shape {tuple(model.outputs[0].shape[1:])} come out for a "
            "picture: expected one score per class"
        )
    x = jax.ShapeDtypeStruct((2, *picture.sides, picture.depth), jnp.float32)
    try:
        run = functools.partial(_forward, model, picture.layout)
        return jax.eval_shape(run, params, x).shape[1]
    except Exception as error:  # layers raise errors of many types
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(f"{source}: the model fails ({reason})") from error
