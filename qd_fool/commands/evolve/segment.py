"""The compiled part of an evolution."""

from jax.sharding import Mesh

from qd_fool.commands.evolve.plan import EvolvePlan
from qd_fool.encodings.base import genome_bytes
from qd_fool.map_elites.segments import Segment, make_segment

SEGMENT_LENGTH = 64
"""Highest number of generations in a segment."""

SEGMENT_BYTES = 2**27
"""Bytes of genomes that a segment may log."""


def segment_of(planned: EvolvePlan, mesh: Mesh) -> tuple[Segment, int]:
    """The compiled part of the run, and the highest number of generations per call."""
    logs_genomes, length = planned.keep_genomes != "none", SEGMENT_LENGTH
    if logs_genomes:
        # The log of the genomes must fit into SEGMENT_BYTES.
        generation = planned.map_elites.batch_size * genome_bytes(planned.subject.encoding)
        length = max(1, min(SEGMENT_LENGTH, SEGMENT_BYTES // generation))
    segment = make_segment(
        planned.subject.scorer,
        planned.subject.encoding,
        planned.map_elites,
        mesh=mesh,
        length=length,
        log_offspring=logs_genomes,
    )
    return segment, length
