"""`run.json` of an ascent."""

import dataclasses
from typing import Any

from jax.sharding import Mesh

from qd_fool.commands.ascend.plan import AscendPlan
from qd_fool.commands.common.record import new_record
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.plan import plain


def ascent_record(planned: AscendPlan, mesh: Mesh, *, seconds: float) -> dict[str, Any]:
    """`run.json` of an ascent that begins or continues.

    The settings are under `ascent`. `config` describes the subject in the keys of an evolution, as
    older versions of this package expect; they take the run for an evolution that is over after
    generation 0, which cost all evaluations.

    Args:
      planned: Plan of the ascent.
      mesh: Devices that the ascent uses.
      seconds: Run time so far.
    """
    config, subject = planned.config, planned.subject
    known = {field.name for field in dataclasses.fields(EvolveConfig)}
    settings = dataclasses.asdict(subject.encoding.settings)
    evolution = EvolveConfig(
        model=subject.scorer.name,
        encoding=subject.encoding.name,
        generations=0,
        batch_size=planned.evaluations,
        seed=config.seed,
        run_dir=config.run_dir,
        weights=config.weights,
        mean=config.mean,
        precision=config.precision,
        crops=subject.crops,
        image_size=config.image_size,
        chunk=subject.chunk,
        **{name: value for name, value in settings.items() if name in known},
    )
    return new_record(
        "ascent",
        subject,
        mesh,
        config={**{k: plain(v) for k, v in vars(evolution).items()}, **subject.hashes},
        generations=0,
        ascent=planned.record,
        seconds=seconds,
    )
