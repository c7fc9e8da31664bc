"""The networks of a transfer: first those that runs were evolved against, then those of `--to`."""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from qd_fool.commands.common.networks import OWN, load_networks
from qd_fool.commands.common.subject import stored_picture
from qd_fool.commands.transfer.sources import Source
from qd_fool.errors import UserError
from qd_fool.models import load_scorer
from qd_fool.models.foreign.settings import PictureSettings, is_foreign
from qd_fool.models.network import SingleNetwork
from qd_fool.models.zoo import ZOO, entry_of
from qd_fool.runs.directory import with_imports
from qd_fool.runs.stored import StoredRun

FLAGS = ("--to", "--weights")


@dataclasses.dataclass(frozen=True)
class Identity:
    """The identity of a network. Networks with the same identity are one, wherever the files are.

    Attributes:
      model: Name in the zoo.
      weights_sha256: Digest of the weights file.
      mean_sha256: Digest of a mean image given by hand; else empty.
      precision: Precision of the arithmetic.
    """

    model: str
    weights_sha256: str
    mean_sha256: str = ""
    precision: str = "float32"


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """A column of the matrix.

    Attributes:
      name: Name for people; no two networks have the same.
      identity: Identity of the network.
      weights: Name of the weights file, for people.
      scorer: Loaded network; None if it can't be loaded. The confidences that its run recorded then
        replace its answers.
    """

    name: str
    identity: Identity
    weights: str
    scorer: SingleNetwork | None


@dataclasses.dataclass(frozen=True)
class _RecordedNetwork:
    """A network that a run was evolved against, as `run.json` describes it.

    Attributes:
      identity: Identity of the network.
      weights: Weights file; None for the network's own.
      mean: Mean image given by hand, if any.
    """

    identity: Identity
    weights: str | None
    mean: str | None


def load_targets(
    to: Sequence[str],
    weights: Sequence[Path],
    *,
    mean: Path | None,
    picture: PictureSettings | None = None,
) -> list[Network]:
    """The networks of `--to`, in order, under their models' names.

    Raises:
      UserError: No network is given, a network is given twice or can't be loaded, or networks
        differ in classes or channels.
    """
    if not to:
        raise UserError("--to is missing: expected one model or more, see `qd-fool models`")
    scorers = load_networks(to, weights, mean=mean, picture=picture, flags=FLAGS)
    networks: list[Network] = []
    for scorer in scorers:
        entry = entry_of(scorer.name)
        subtracts = ""
        if mean is not None and entry is not None and entry.mean is not None:
            subtracts = hashlib.sha256(mean.read_bytes()).hexdigest()
        identity = Identity(scorer.name, scorer.weights_sha256, subtracts)
        if identity in [network.identity for network in networks]:
            raise UserError(
                f"--to {scorer.name} is given twice with the same weights ({scorer.weights})"
            )
        networks.append(Network(scorer.name, identity, Path(scorer.weights).name, scorer))
    for scorer in scorers[1:]:
        check_alike(scorers[0], scorer)
    return networks


def check_alike(first: SingleNetwork, other: SingleNetwork) -> None:
    """Check that two networks have the same classes, and take pictures of the same channels.

    Raises:
      UserError: The networks differ.
    """
    if (first.class_names, first.wnids) != (other.class_names, other.wnids):
        raise UserError(
            f"{first.name} has {len(first.class_names)} classes and {other.name} "
            f"{len(other.class_names)}: expected networks of the same classes"
        )
    channels, other_channels = first.image_shape[2], other.image_shape[2]
    if channels != other_channels:
        raise UserError(
            f"{first.name} sees {channels} channels and {other.name} {other_channels}: expected "
            "the same"
        )


def all_networks(
    sources: Sequence[Source], targets: Sequence[Network], *, console: Console
) -> tuple[list[Network], list[list[int]]]:
    """The networks that the runs were evolved against, then the other networks of `--to`.

    Args:
      sources: Runs and folders.
      targets: Networks of `--to`, from `load_targets`.
      console: Console for warnings about networks that can't be loaded.

    Returns:
      The networks, under their models' names; and for each source the indices of the networks that
      it was evolved against (for a folder, the index of the first target).

    Raises:
      UserError: A run was evolved against a network of other classes or channels.
    """
    known = {network.identity: network for network in targets}
    found: dict[Identity, Network] = {}
    made_against: list[list[Identity]] = []
    for source in sources:
        recorded_networks = _recorded_networks(source)
        made_against.append([recorded.identity for recorded in recorded_networks])
        for recorded in recorded_networks:
            identity = recorded.identity
            if identity in found:
                continue
            network = known.get(identity) or _load(source, recorded, console=console)
            if network.scorer is not None and targets[0].scorer is not None:
                check_alike(targets[0].scorer, network.scorer)
            found[identity] = network
    networks = list((found | {i: n for i, n in known.items() if i not in found}).values())
    place = {network.identity: i for i, network in enumerate(networks)}
    first = place[targets[0].identity]
    return networks, [[place[i] for i in identities] or [first] for identities in made_against]


def _recorded_networks(source: Source) -> list[_RecordedNetwork]:
    """The networks that a run was evolved against; none for a folder.

    Raises:
      UserError: `run.json` has another number of digests than of models.
    """
    if not source.run:
        return []
    config = source.run["config"]
    models = [config.get("model"), *(config.get("also") or ())]
    files = [config.get("weights"), *(config.get("also_weights") or ())]
    digests = str(config.get("weights_sha256")).split("+")
    files += [None] * (len(models) - len(files))
    if len(digests) != len(models) or not all(isinstance(model, str) for model in models):
        raise UserError(
            f"{source.path / 'run.json'}: config has the models {models} and weights-sha256 "
            f"{digests}: expected the same number"
        )
    precision = str(config.get("precision", "float32"))
    recorded = []
    for model, file, digest in zip(models, files, digests, strict=True):
        subtracts_mean = model in list(ZOO) and ZOO[model].mean is not None
        mean = config.get("mean") if subtracts_mean else None
        mean_sha256 = str(config.get("mean_sha256")) if mean else ""
        weights = None if file is None or file == OWN else str(file)
        identity = Identity(str(model), digest, mean_sha256, precision)
        recorded.append(_RecordedNetwork(identity, weights, mean))
    return recorded


def _load(source: Source, recorded: _RecordedNetwork, *, console: Console) -> Network:
    """Load a run's network as the run had it. If that fails, print a warning and have no scorer."""
    wanted, mean = recorded.identity, recorded.mean
    label = Path(recorded.weights).name if recorded.weights else "its own weights"
    try:
        if wanted.model not in ZOO and not is_foreign(wanted.model):
            raise UserError(with_imports(source.run, f"unknown model {wanted.model!r}"))
        scorer = load_scorer(
            wanted.model,
            weights=recorded.weights,
            mean=mean,
            precision=wanted.precision,
            picture=stored_picture(StoredRun(source.path, dict(source.run)))
            if is_foreign(wanted.model)
            else None,
        )
        if scorer.weights_sha256 != wanted.weights_sha256:
            raise UserError(
                f"{scorer.weights} has sha256 {scorer.weights_sha256[:12]}..., the run "
                f"{wanted.weights_sha256[:12]}..."
            )
        if mean and hashlib.sha256(Path(mean).read_bytes()).hexdigest() != wanted.mean_sha256:
            raise UserError(f"{mean} is not the mean image that the run subtracted")
    except UserError as error:
        rest = (
            "its figures are left out"
            if source.kind == "joint" or source.recorded is None
            else "the scores that the run recorded are used instead"
        )
        console.print(f"warning: {source.name}: {wanted.model} is not scored, {rest}: {error}")
        return Network(wanted.model, wanted, label, None)
    return Network(wanted.model, wanted, Path(scorer.weights).name, scorer)


def named(
    networks: Sequence[Network], targets: Sequence[Network], names: Sequence[str]
) -> list[Network]:
    """The networks, each with a name that no other has.

    Args:
      networks: All networks.
      targets: Networks of `--to`.
      names: Names of the targets, in order. Without them a network is named by its model, and by
        its weights where a model occurs twice.

    Raises:
      UserError: There is another number of names than of targets, or a name occurs twice.
    """
    if names and len(names) != len(targets):
        raise UserError(
            f"--names has {len(names)} names and --to is given {len(targets)} times: expected the "
            "same number"
        )
    given = {target.identity: name for target, name in zip(targets, names, strict=False)}
    models = [network.identity.model for network in networks]
    files = [(n.identity.model, Path(n.weights).stem) for n in networks]

    def automatic(network: Network) -> str:
        model, stem = network.identity.model, Path(network.weights).stem
        if models.count(model) == 1 or (stem == model and files.count((model, stem)) == 1):
            return model
        if files.count((model, stem)) == 1:
            return f"{model} ({stem})"
        identity = network.identity
        rest = (identity.weights_sha256[:8], identity.mean_sha256[:8], identity.precision)
        return f"{model} ({', '.join((stem, *(fact for fact in rest if fact)))})"

    unique = [given.get(network.identity) or automatic(network) for network in networks]
    for name in unique:
        if unique.count(name) > 1:
            raise UserError(f"--names: two networks are called {name!r}, expected other names")
    return [
        dataclasses.replace(network, name=name)
        for network, name in zip(networks, unique, strict=True)
    ]
