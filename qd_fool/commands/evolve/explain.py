"""`qd-fool evolve --explain`: what a run costs, before it begins."""

from typing import Any

import jax
from jax.sharding import Mesh
from rich.console import Console

from qd_fool.commands.evolve.plan import EvolvePlan
from qd_fool.devices.traffic import collective_bytes
from qd_fool.encodings.base import genome_bytes
from qd_fool.map_elites.evaluations import generation_cost


def explain(planned: EvolvePlan, compiled: Any, mesh: Mesh, *, console: Console) -> None:
    """Print sizes and costs of a run.

    Args:
      planned: Plan of the run.
      compiled: The compiled segment; a network on the host has none.
      mesh: Devices of the run.
      console: Console to print to.
    """
    scorer, encoding, search = planned.subject.scorer, planned.subject.encoding, planned.map_elites
    cells, genome = len(scorer.class_names), genome_bytes(encoding)
    cost = generation_cost(search, encoding)
    evaluations = f"{cost.most:,}" if not cost.varies else f"up to {cost.most:,}"
    params = sum(leaf.nbytes for leaf in jax.tree.leaves(scorer.params))
    rows = [
        ("parameters", f"{params:,} bytes on each device"),
        ("genome", f"{genome:,} bytes; {cells:,} cells hold {cells * genome:,} bytes"),
        ("generation", f"{search.batch_size:,} offspring, {evaluations} counted evaluations"),
        ("devices", f"{mesh.devices.size}, each with chunks of {search.chunk} pictures"),
    ]
    if hasattr(compiled, "as_text"):
        memory = compiled.memory_analysis()
        # The donated state is an argument and a result in the same place.
        total = memory.argument_size_in_bytes + memory.temp_size_in_bytes
        rows.append(("memory", f"{total:,} bytes on each device, without the log"))
        sent = collective_bytes(compiled.as_text())
        words = ", ".join(f"{kind} {size:,} bytes" for kind, size in sorted(sent.items()))
        rows.append(("communication", f"{words or 'none'} per generation and device"))
    for name, words in rows:
        console.print(f"{name + ':':15}{words}")
