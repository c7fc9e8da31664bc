"""`qd-fool ascend` in several processes: what they agree on, and the work of those that follow."""

from typing import Any

import numpy as np
from jax.sharding import Mesh
from rich.console import Console

from qd_fool.ascent.segments import Ascent, make_ascent
from qd_fool.commands.ascend.config import AscendConfig
from qd_fool.commands.ascend.loop import climb_blocks
from qd_fool.commands.ascend.plan import AscendPlan, plan_ascent
from qd_fool.commands.ascend.starts import MakeStarts, make_starts
from qd_fool.commands.common.settings import outcome
from qd_fool.commands.common.signals import stop_on_signal
from qd_fool.commands.common.team import (
    facts_of_process,
    refuse_host,
    stepping,
    taking_part,
    words_of_follower,
)
from qd_fool.devices.mesh import make_mesh
from qd_fool.devices.processes import Team, agree
from qd_fool.models.network import Network
from qd_fool.runs.checkpoints import digest


def plan_together(
    config: AscendConfig, team: Team, *, console: Console, loaded: Network | None = None
) -> tuple[AscendPlan, Ascent, MakeStarts]:
    """The plan of an ascent, its compiled parts on the devices of all processes, and its starts.

    Args:
      config: Settings of the ascent.
      team: The processes.
      console: Console for messages about checkpoints of --from.
      loaded: Network of the ascent, if it is loaded already.

    Raises:
      UserError: Settings are wrong, or the network runs outside JAX.
    """
    planned = plan_ascent(config, console=console, loaded=loaded)
    subject = planned.subject
    refuse_host(subject.scorer, team)
    mesh = make_mesh(planned.config.devices, together=team.count > 1)
    ascent = make_ascent(subject.scorer, subject.encoding, planned.ascent, mesh=mesh)
    return planned, ascent, make_starts(planned)


def agree_on_ascent(team: Team, planned: AscendPlan, mesh: Mesh, starts: MakeStarts) -> None:
    """Check that all processes would do the same.

    Args:
      team: The processes.
      planned: Plan of the ascent in this process.
      mesh: Devices of all processes.
      starts: Function that makes the starts of targets.

    Raises:
      UserError: They differ, or one of them cannot take part.
    """
    if team.count > 1:
        agree(team, _facts(planned, mesh, starts), mesh=mesh)


def _facts(planned: AscendPlan, mesh: Mesh, starts: MakeStarts) -> dict[str, Any]:
    config = planned.config
    return {
        **outcome(AscendConfig, planned.record),
        "block": config.block,
        "the SHA-256 of the first start": digest(starts(np.arange(1))),
        **facts_of_process(mesh, planned.subject.networks, devices=config.devices),
    }


def follow_ascent(config: AscendConfig, team: Team, *, console: Console) -> bool:
    """Climb with this process's share of the targets. Writes no file.

    Returns:
      Whether a signal has ended the ascent.

    Raises:
      UserError: Settings are wrong, differ from those of another process, or a process has ended.
    """
    with taking_part(team):
        planned, ascent, starts = plan_together(config, team, console=console)
    agree_on_ascent(team, planned, ascent.mesh, starts)
    console.print(words_of_follower(team))
    with stop_on_signal(), stepping(team) as steps:
        quiet = Console(quiet=True)
        interrupted = climb_blocks(planned, ascent, starts, None, steps=steps, console=quiet)
    console.print(f"process {team.index} is done")
    return interrupted
