"""Files of the model hub: from its cache, or fetched."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from qd_fool.errors import UserError
from qd_fool.models.foreign.torch.packages import OFFLINE, import_package


class NoSuchFile(UserError):
    """A repository lacks all of the files that would do."""


def fetch(repository: str, names: Sequence[str], *, name: str, instead: str) -> Path:
    """The first file of a repository that there is.

    Args:
      repository: Repository, `OWNER/NAME`.
      names: Names of files, best first.
      name: Name of the network, for errors.
      instead: What the user can do instead, for errors.

    Raises:
      NoSuchFile: The repository has none of them.
      UserError: None is in the cache, and none can be fetched.
    """
    hub = import_package("huggingface_hub", asker=f"--model {name}")
    for file in names:
        found = hub.try_to_load_from_cache(repository, file)
        if isinstance(found, str):
            return Path(found)
    if (reason := _unreachable(hub)) is not None:
        raise UserError(f"{name}: {repository} cannot be fetched ({reason}): {instead}")
    errors = hub.errors
    for file in names:
        try:
            return Path(hub.hf_hub_download(repository, file))
        except errors.GatedRepoError as error:
            raise UserError(
                f"{name}: {repository} is gated: accept its terms on its page and log in with "
                f"`hf auth login`, or {instead}"
            ) from error
        except errors.RepositoryNotFoundError as error:
            raise UserError(
                f"{name}: there is no repository {repository}, or it is private: {instead}"
            ) from error
        except errors.LocalEntryNotFoundError as error:
            raise UserError(f"{name}: {repository} cannot be fetched: {instead}") from error
        except errors.EntryNotFoundError:
            continue
        except (errors.HfHubHTTPError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{name}: {repository} cannot be fetched ({reason}): {instead}") from (
                error
            )
    raise NoSuchFile(f"{name}: {repository} has no {' or '.join(names)}")


def _unreachable(hub: Any) -> str | None:
    """Why the network is not asked; None if it can be. The client itself would try for long."""
    if hub.constants.HF_HUB_OFFLINE:
        return f"{OFFLINE} is set" if os.environ.get(OFFLINE) else "offline"
    if any(key.lower().endswith("_proxy") for key in os.environ):
        return None  # the proxy finds the address
    try:
        socket.getaddrinfo(urlsplit(hub.constants.ENDPOINT).hostname, None)
    except OSError as error:
        return f"no network: {error.strerror or error}"
    return None
