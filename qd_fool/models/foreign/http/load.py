"""A network from a service: `from_http`."""

import dataclasses
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from qd_fool.errors import UserError, check_range
from qd_fool.models.foreign.callable import host_scorer
from qd_fool.models.foreign.http.bodies import POSTS, encode
from qd_fool.models.foreign.http.sender import Limits, Sender
from qd_fool.models.foreign.pictures import Numbers, check_choice
from qd_fool.models.foreign.settings import NAMED
from qd_fool.models.foreign.view import read_view
from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.sides import Size, sides_of

__all__ = ["from_http"]


def from_http(
    url: str,
    *,
    image_shape: tuple[int, int, int],
    class_names: str | Path | Sequence[str] | None = None,
    outputs: str = "auto",
    layout: str = "auto",
    channels: str = "auto",
    mean: Numbers | None = None,
    std: Numbers | None = None,
    post: str = "npy",
    in_flight: int = 4,
    request_timeout: float = 30.0,
    retries: int = 6,
    rate_limit: float | None = None,
    token_env: str | None = None,
    requests: int | None = None,
    chunk: int = 50,
) -> HostScorer:
    """Make a network from a service that classifies pictures.

    A chunk of pictures is posted as one request. The service answers with one row of numbers per
    picture: JSON, or an array in NumPy's format. A few pictures of noise are posted at once.

    Args:
      url: Address of the service, `https://...`.
      image_shape: Shape of a picture, `(height, width, channels)`, gray or RGB.
      class_names: Labels, or a file with one label per line. Default: ImageNet's for 1000 classes,
        else numbers.
      outputs: Kind of the numbers, as in `from_callable`.
      layout: Order of the axes, as in `from_callable`.
      channels: Order of the channels, as in `from_callable`.
      mean: Number or numbers that are subtracted, as in `from_callable`.
      std: Divisor, as in `from_callable`.
      post: Form of a request: "npy", an array in NumPy's format, or "png", JSON
        `{"images": [...]}` with PNGs in base64.
      in_flight: Requests at the same time.
      request_timeout: Seconds for one request.
      retries: Repetitions of a request that failed, with growing pauses between them.
      rate_limit: Highest number of requests per second.
      token_env: Name of the environment variable that holds the bearer token. The token is sent to
        the service and written nowhere.
      requests: Budget in requests, repetitions included.
      chunk: Highest number of pictures per request.

    Raises:
      UserError: A setting is wrong, or the service refuses or does not answer.
    """
    limits = Limits(in_flight, request_timeout, retries, rate_limit, requests)
    check_range(limits, "in_flight", least=1, most=256)
    check_range(limits, "requests", least=1)
    check_range(limits, "retries", least=0, most=100)
    if not request_timeout > 0 or not (rate_limit is None or rate_limit > 0):
        flag, value = ("request-timeout", request_timeout)
        if request_timeout > 0:
            flag, value = "rate-limit", rate_limit or 0.0
        raise UserError(f"--{flag} is {value}: expected more than 0")
    check_choice("--post", post, POSTS)
    if post == "png" and (layout == "nchw" or mean is not None or std is not None):
        raise UserError("--post png sends 8-bit pictures: leave --layout, --mean and --std out")
    token = _token(url, token_env)
    sender = Sender(url, limits, token=token)
    made = host_scorer(
        lambda pictures: sender.post(*encode(np.asarray(pictures), post)),
        view=read_view(
            image_shape, layout=layout, channels=channels, mean=mean, std=std, source=url
        ),
        labels=class_names,
        gradient=None,
        outputs=outputs,
        chunk=chunk,
        name=url,
        weights="a service",
    )
    return dataclasses.replace(made, in_flight=in_flight, check=sender.check, cancel=sender.cancel)


def from_address(
    place: str,
    *,
    name: str,
    labels: Path | None,
    input_size: Size | None,
    channels: str,
    output: str | None,
    **settings: Any,
) -> HostScorer:
    """Make a network from the flags of a command.

    Args:
      place: Part of the address after the scheme.
      name: The whole address.
      labels: File of labels, or None.
      input_size: Side of the pictures, or height and width.
      channels: Order of the channels.
      output: Name of an output, which a service does not have.
      **settings: Settings of `from_http`.

    Raises:
      UserError: A setting is wrong, or the service refuses or does not answer.
    """
    del place
    if name not in NAMED:
        raise UserError(
            f"{name} is only asked by a command line that names it: give --model {name}"
        )
    if output is not None:
        raise UserError(f"--output {output}: a service returns one array, leave it out")
    if input_size is None:
        raise UserError(f"{name}: how large are its pictures? expected --input-size")
    return from_http(
        name,
        image_shape=(*sides_of(input_size), 1 if channels == "gray" else 3),
        class_names=labels,
        channels=channels,
        **settings,
    )


def _token(url: str, variable: str | None) -> str | None:
    """The bearer token, if the address may get one.

    Raises:
      UserError: The address is no address or holds a password, or the variable is not set.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UserError(f"{url} is no address ({error})") from error
    if parts.scheme not in ("http", "https") or not host:
        raise UserError(f"{url} is no address: expected https://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise UserError(
            f"the address of {host} holds a name or password, which run.json would record: use "
            "--token-env"
        )
    if variable is None:
        return None
    token = os.environ.get(variable, "").strip()
    if not token:
        raise UserError(f"--token-env {variable}: this environment variable is not set")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UserError(f"--token-env {variable}: its value is no token: expected one ASCII word")
    if parts.scheme == "http" and not _is_loopback(host):
        raise UserError(f"{url}: a token is only sent to https://, or to this machine")
    return token


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return False
