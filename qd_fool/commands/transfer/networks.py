"""The networks of a transfer: those that runs were evolved against, then those of `--to`."""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from qd_fool.commands.common.networks import OWN, load_networks
from qd_fool.commands.transfer.sources import Source
from qd_fool.errors import UserError
from qd_fool.models import Scorer, load_scorer
from qd_fool.models.entry import ZOO

FLAGS = ("--to", "--weights")


@dataclasses.dataclass(frozen=True)
class Identity:
    """What makes two networks the same one, wherever their files lie.

    Attributes:
      model: of the zoo.
      weights_sha256: of the weights file.
      mean_sha256: of a mean image given by hand; else empty.
      precision: of the arithmetic.
    """

    model: str
    weights_sha256: str
    mean_sha256: str = ""
    precision: str = "float32"


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """A column of the matrix.

    Attributes:
      name: for people; no two networks have the same.
      identity: the network.
      weights: the file's name, for people.
      scorer: None where it could not be loaded: what its run wrote down stands in.
    """

    name: str
    identity: Identity
    weights: str
    scorer: Scorer | None


def load_targets(to: Sequence[str], weights: Sequence[Path], *, mean: Path | None) -> list[Network]:
    """The networks of `--to`, in order, not yet named.

    Raises:
      UserError: none, one twice, networks that can't be loaded, or of other classes or channels.
    """
    if not to:
        raise UserError("--to is missing: expected a model or more, see `qd-fool models`")
    scorers = load_networks(to, weights, mean=mean, flags=FLAGS)
    digest = "" if mean is None else hashlib.sha256(mean.read_bytes()).hexdigest()
    networks: list[Network] = []
    for scorer in scorers:
        subtracts = digest if ZOO[scorer.name].mean is not None else ""
        identity = Identity(scorer.name, scorer.weights_sha256, subtracts)
        if identity in [network.identity for network in networks]:
            raise UserError(
                f"--to {scorer.name} is given twice with the same weights ({scorer.weights})"
            )
        networks.append(Network(scorer.name, identity, Path(scorer.weights).name, scorer))
    for scorer in scorers[1:]:
        check_alike(scorers[0], scorer)
    return networks


def check_alike(first: Scorer, other: Scorer) -> None:
    """See that two networks tell the same classes apart, in pictures of the same channels.

    Raises:
      UserError: they don't.
    """
    if (first.class_names, first.wnids) != (other.class_names, other.wnids):
        raise UserError(
            f"{first.name} has {len(first.class_names)} classes and {other.name} "
            f"{len(other.class_names)}: expected networks of the same classes"
        )
    ours, theirs = first.image_shape[2], other.image_shape[2]
    if ours != theirs:
        raise UserError(
            f"{first.name} sees {ours} channels and {other.name} {theirs}: expected the same"
        )


def all_networks(
    sources: Sequence[Source], targets: Sequence[Network], *, console: Console
) -> tuple[list[Network], list[list[int]]]:
    """The networks that the runs were evolved against, then those others of `--to`.

    Args:
      sources: runs and folders.
      targets: of `load_targets`.
      console: is told of networks that can't be loaded.

    Returns:
      The networks, not yet named; and of each source the indices of those it was evolved against
      (for a folder, that of the first target).

    Raises:
      UserError: a run was evolved against a network of other classes or channels.
    """
    known = {network.identity: network for network in targets}
    found: dict[Identity, Network] = {}
    owned: list[list[Identity]] = []
    for source in sources:
        its = _recorded_networks(source)
        owned.append([identity for identity, _, _ in its])
        for identity, file, mean in its:
            if identity in found:
                continue
            network = known.get(identity) or _load(source, identity, file, mean, console)
            if network.scorer is not None and targets[0].scorer is not None:
                check_alike(targets[0].scorer, network.scorer)
            found[identity] = network
    networks = list((found | {i: n for i, n in known.items() if i not in found}).values())
    place = {network.identity: i for i, network in enumerate(networks)}
    first = place[targets[0].identity]
    return networks, [[place[i] for i in its] or [first] for its in owned]


def _recorded_networks(source: Source) -> list[tuple[Identity, str | None, str | None]]:
    """Networks that a run was evolved against: identity, weights file (None: its own) and mean."""
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
            f"{digests}: expected as many"
        )
    precision = str(config.get("precision", "float32"))
    described = []
    for model, file, digest in zip(models, files, digests, strict=True):
        takes = model in list(ZOO) and ZOO[model].mean is not None
        mean = config.get("mean") if takes else None
        subtracts = str(config.get("mean_sha256")) if mean else ""
        own = file is None or file == OWN
        identity = Identity(str(model), digest, subtracts, precision)
        described.append((identity, None if own else str(file), mean))
    return described


def _load(
    source: Source, wanted: Identity, file: str | None, mean: str | None, console: Console
) -> Network:
    """A run's network as the run had it; without a scorer, and a line said, where it is not so."""
    label = Path(file).name if file else "its own weights"
    try:
        scorer = load_scorer(wanted.model, weights=file, mean=mean, precision=wanted.precision)
        if scorer.weights_sha256 != wanted.weights_sha256:
            raise UserError(
                f"{scorer.weights} has sha256 {scorer.weights_sha256[:12]}..., the run "
                f"{wanted.weights_sha256[:12]}..."
            )
        if mean and hashlib.sha256(Path(mean).read_bytes()).hexdigest() != wanted.mean_sha256:
            raise UserError(f"{mean} is not the mean image that the run subtracted")
    except UserError as error:
        rest = (
            "its own figures are left out"
            if source.kind == "joint"
            else "what the run wrote down stands in for its scores"
        )
        console.print(f"warning: {source.name}: {wanted.model} is not scored, {rest}: {error}")
        return Network(wanted.model, wanted, label, None)
    return Network(wanted.model, wanted, Path(scorer.weights).name, scorer)


def named(
    networks: Sequence[Network], targets: Sequence[Network], names: Sequence[str]
) -> list[Network]:
    """The networks with names that tell them apart.

    Args:
      networks: all of them.
      targets: those of `--to`.
      names: of these, in order; none: by model, and weights where a model occurs twice.

    Raises:
      UserError: another number of names than of `--to`, or a name that occurs twice.
    """
    if names and len(names) != len(targets):
        raise UserError(
            f"--names has {len(names)} names and --to is given {len(targets)} times: expected as "
            "many"
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
        facts: dict[str, Any] = vars(network.identity)
        rest = (facts["weights_sha256"][:8], facts["mean_sha256"][:8], facts["precision"])
        return f"{model} ({', '.join((stem, *(fact for fact in rest if fact)))})"

    told = [given.get(network.identity) or automatic(network) for network in networks]
    for name in told:
        if told.count(name) > 1:
            raise UserError(f"--names: two networks are called {name!r}, expected other names")
    return [
        dataclasses.replace(network, name=name)
        for network, name in zip(networks, told, strict=True)
    ]
