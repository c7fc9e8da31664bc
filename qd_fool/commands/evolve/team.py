"""`qd-fool evolve` in several processes: what they agree on, and the work of those that follow."""

from typing import Any

from jax.sharding import Mesh
from rich.console import Console

from qd_fool.commands.common.settings import outcome
from qd_fool.commands.common.signals import stop_on_signal
from qd_fool.commands.common.team import (
    facts_of_process,
    refuse_host,
    taking_part,
    words_of_follower,
)
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.plan import EvolvePlan, plan
from qd_fool.commands.evolve.segment import segment_of
from qd_fool.commands.evolve.start import blank_state
from qd_fool.devices.mesh import make_mesh
from qd_fool.devices.processes import Team, agree
from qd_fool.map_elites.segments import compile_segment
from qd_fool.map_elites.together import follow
from qd_fool.models.network import Network


def facts_to_agree(planned: EvolvePlan, mesh: Mesh) -> dict[str, Any]:
    """What must be equal in all processes, by name.

    Args:
      planned: Plan of the run in this process.
      mesh: Devices of all processes.
    """
    return {
        **outcome(EvolveConfig, planned.record),
        "keep_genomes": planned.keep_genomes,
        **facts_of_process(mesh, planned.subject.networks, devices=planned.config.devices),
    }


def plan_together(config: EvolveConfig, team: Team, *, loaded: Network | None = None) -> EvolvePlan:
    """The plan of a run, checked for use in several processes.

    Args:
      config: Settings of the run.
      team: The processes.
      loaded: Network, if it has been loaded already.

    Raises:
      UserError: Settings are wrong, or the network runs outside JAX.
    """
    planned = plan(config, loaded=loaded)
    refuse_host(planned.subject.scorer, team)
    return planned


def follow_run(config: EvolveConfig, team: Team, *, console: Console) -> bool:
    """Compute this process's share of a run that process 0 leads. Writes no file.

    Returns:
      Whether a signal that this process got has ended the run.

    Raises:
      UserError: Settings are wrong, differ from those of another process, or a process has ended.
    """
    with taking_part(team):
        planned = plan_together(config, team)
        mesh = make_mesh(planned.config.devices, together=True)
        segment, _ = segment_of(planned, mesh)
    agree(team, facts_to_agree(planned, mesh), mesh=mesh)
    console.print(words_of_follower(team))
    with stop_on_signal() as stop:
        done = follow(
            team,
            lambda state, params: compile_segment(segment, state, params),
            blank_state(planned),
            planned.subject.scorer.params,
            mesh=mesh,
            heard=lambda: stop.number,
        )
        console.print(f"process {team.index} is done after {done:,} generations")
        return bool(stop)
