"""The subject of a search: a network, an encoding, and the scoring of pictures.

An evolution and an ascent have the same subject and search it in different ways. A run directory
records its subject, and a command that opens the directory gets the subject back.
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from qd_fool.commands.common.imports import refuse_unknown
from qd_fool.commands.common.networks import Networks
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.models.class_names import label_set
from qd_fool.models.foreign.settings import PictureSettings, is_foreign
from qd_fool.models.network import Network
from qd_fool.runs.directory import differences
from qd_fool.runs.stored import StoredRun
from qd_fool.scoring.score import ScoreFunction, score_function

KINDS = {
    "input_size": int,
    "in_flight": int,
    "retries": int,
    "requests": int,
    "request_timeout": float,
    "rate_limit": float,
}
"""Types of a user's network's settings in `run.json`, where they are not texts."""


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """The subject of a search.

    Attributes:
      networks: Names and files of the networks.
      scorer: Network to fool; several networks are joined into one.
      encoding: Encoding of the genomes.
      crops: Crops that are averaged per picture.
      chunk: Pictures scored at once.
      score: Score function of the search, `(params, images) -> log-odds (n, classes)`, on 8-bit
        pictures.
      hashes: SHA-256 of the files that the network was read from, under their names in `run.json`.
    """

    networks: Networks
    scorer: Network
    encoding: Encoding
    crops: int
    chunk: int
    score: ScoreFunction
    hashes: dict[str, str]

    def record(self) -> dict[str, Any]:
        """The keys of `run.json` that describe the subject, beside those of the settings."""
        return {
            "encoding_settings": dataclasses.asdict(self.encoding.settings),
            "image_shape": self.encoding.image_shape,
            "classes": len(self.scorer.class_names),
            "labels": label_set(self.scorer.class_names, self.scorer.wnids),
            "weights": self.scorer.weights,
        }


def make_subject(
    networks: Networks, scorer: Network, encoding: Encoding, *, crops: int, chunk: int
) -> Subject:
    """Make a subject. The score function is compiled at its first call.

    Args:
      networks: Names and files of the networks.
      scorer: Network that was loaded from them.
      encoding: Encoding of the genomes.
      crops: Crops that are averaged per picture.
      chunk: Pictures scored at once.
    """
    hashes = {"weights_sha256": scorer.weights_sha256}
    if networks.mean is not None and not is_foreign(networks.model):
        hashes["mean_sha256"] = hashlib.sha256(networks.mean.read_bytes()).hexdigest()
    score = score_function(scorer, crops=crops, chunk=chunk)
    return Subject(networks, scorer, encoding, crops, chunk, score, hashes)


def stored_subject(run: StoredRun, *, token_env: str | None = None) -> Subject:
    """The subject of a stored evolution or ascent, with its network read again.

    Args:
      run: The run.
      token_env: Name of the environment variable with the token of a service. It is never taken
        from the run directory, which may be a stranger's.

    Raises:
      UserError: The run is of another kind, its `run.json` is damaged, or the weights or the mean
        image have changed.
    """
    if run.kind not in ("evolution", "ascent"):
        raise UserError(f"{run.path} is of kind {run.kind}: expected an evolution or an ascent")
    networks = stored_networks(run, token_env=token_env)
    crops, chunk = _field(run, "crops", int), _field(run, "chunk", int)
    subject = make_subject(networks, networks.load(), run.encoding(), crops=crops, chunk=chunk)
    config = run.record["config"]
    stored = {name: config.get(name) for name in ("weights_sha256", "mean_sha256")}
    different = differences(stored, {name: subject.hashes.get(name) for name in stored})
    if different:
        raise UserError(f"{run.path} cannot be scored again: {'; '.join(different)}")
    return subject


def stored_networks(run: StoredRun, *, token_env: str | None = None) -> Networks:
    """The names and files of a stored run's networks.

    Args:
      run: The run.
      token_env: Name of the environment variable with the token of a service.

    Raises:
      UserError: `run.json` is damaged.
    """
    refuse_unknown(run.record, emitters=False)

    def file(name: str) -> Path | None:
        path = _field(run, name, str, None)
        return None if path is None else Path(path)

    return Networks(
        model=_field(run, "model", str),
        also=tuple(map(str, _field(run, "also", list, []))),
        weights=file("weights"),
        also_weights=tuple(Path(str(name)) for name in _field(run, "also_weights", list, [])),
        joint=_field(run, "joint", str, "least"),
        mean=file("mean"),
        precision=_field(run, "precision", str, "float32"),
        picture=dataclasses.replace(stored_picture(run), token_env=token_env),
    )


def stored_picture(run: StoredRun) -> PictureSettings:
    """The stored facts about the pictures of a user's network.

    Args:
      run: Run against the network.

    Raises:
      UserError: `run.json` is damaged.
    """
    usual = PictureSettings()
    found: dict[str, Any] = {}
    foreign = is_foreign(_field(run, "model", str))
    for field in dataclasses.fields(PictureSettings):
        if field.name == "mean" and not foreign:  # a file, which the network itself reads
            continue
        if field.name == "token_env":  # the caller names it
            continue
        kind = KINDS.get(field.name, str)
        if field.name == "input_size" and isinstance(run.record["config"].get(field.name), str):
            kind = str  # HEIGHTxWIDTH
        value = _field(run, field.name, kind, getattr(usual, field.name))
        found[field.name] = Path(value) if field.name == "labels" and value else value
    return PictureSettings(**found)


def _field(run: StoredRun, name: str, kind: type, *default: Any) -> Any:
    """A value of the stored settings, checked. Records of older versions may lack some values."""
    config = run.record["config"]
    if default and config.get(name, default[0]) == default[0]:
        return default[0]
    if kind is float and type(config.get(name)) is int:
        return float(config[name])
    if type(config.get(name)) is not kind:
        raise UserError(
            f"{run.path / 'run.json'}: {name} is {config.get(name)!r}, expected {kind.__name__}"
        )
    return config[name]
