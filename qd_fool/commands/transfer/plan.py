"""A `TransferConfig` with its networks loaded and its pictures found."""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from qd_fool.commands.common.networks import Networks
from qd_fool.commands.common.team import facts_of_process, refuse_host
from qd_fool.commands.transfer.answers import Shape, check_shapes
from qd_fool.commands.transfer.config import TransferConfig
from qd_fool.commands.transfer.networks import Network, all_networks, named
from qd_fool.commands.transfer.sources import Source, read_shapes
from qd_fool.devices.mesh import make_mesh
from qd_fool.devices.processes import Team
from qd_fool.models.network import SingleNetwork


@dataclasses.dataclass(frozen=True, eq=False)
class TransferPlan:
    """What is to be scored by which networks.

    Attributes:
      config: Settings of the command.
      sources: Runs and folders, in order.
      networks: Networks, in order.
      made_against: Indices of the networks that each source was made against.
      shapes: Shape of each picture.
      first: Index of the first network of `--to`.
      class_names: Names of the classes.
    """

    config: TransferConfig
    sources: Sequence[Source]
    networks: Sequence[Network]
    made_against: Sequence[Sequence[int]]
    shapes: Sequence[Shape]
    first: int
    class_names: tuple[str, ...]

    @property
    def paths(self) -> list[Path]:
        """Files of all pictures."""
        return [path for source in self.sources for path in source.paths]


def first_target(to: Sequence[Network]) -> SingleNetwork:
    """The first network of `--to`."""
    like = to[0].scorer
    assert like is not None  # noqa: S101  # all networks of --to are loaded
    return like


def plan_transfer(
    config: TransferConfig,
    sources: Sequence[Source],
    to: Sequence[Network],
    *,
    team: Team,
    console: Console,
) -> TransferPlan:
    """Find all networks, and check that they can take all pictures.

    Args:
      config: Settings of the command.
      sources: Runs and folders.
      to: Networks of `--to`.
      team: The processes.
      console: Console for notes.
    """
    networks, made_against = all_networks(sources, to, console=console)
    networks = named(networks, to, config.names)
    like = first_target(to)
    planned = TransferPlan(
        config,
        sources,
        networks,
        made_against,
        shapes=read_shapes(sources, channels=like.image_shape[2]),
        first=next(j for j, network in enumerate(networks) if network.identity == to[0].identity),
        class_names=like.class_names,
    )
    for network in networks:
        if network.scorer is not None:
            refuse_host(network.scorer, team)
            check_shapes(network.scorer, planned.paths, planned.shapes, crops=config.crops)
    return planned


def facts_to_agree(planned: TransferPlan) -> dict[str, Any]:
    """What must be equal in all processes, by name."""
    digest = hashlib.sha256()
    for path in planned.paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    models = [network.identity.model for network in planned.networks]
    return {
        "crops": planned.config.crops,
        "the networks": [dataclasses.astuple(network.identity) for network in planned.networks],
        "the networks that are asked": [n.scorer is not None for n in planned.networks],
        "the SHA-256 of the pictures": digest.hexdigest(),
        "the pictures' classes": [source.targets.tolist() for source in planned.sources],
        **facts_of_process(make_mesh(), Networks(models[0], tuple(models[1:]))),
    }
