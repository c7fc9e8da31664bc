"""`run.json` of an ascent."""

import dataclasses
from typing import Any

from jax.sharding import Mesh

from qd_fool.commands.ascend.plan import AscendPlan
from qd_fool.commands.common.foreign import flags_of_picture, picture_settings
from qd_fool.commands.common.record import new_record
from qd_fool.commands.evolve.config import EvolveConfig, record_of_run
from qd_fool.commands.evolve.presets import with_preset
from qd_fool.encodings.table import ENCODINGS


def ascent_record(
    planned: AscendPlan, mesh: Mesh, *, seconds: float, imports: list[dict[str, str]]
) -> dict[str, Any]:
    """`run.json` of an ascent that begins or continues.

    The settings are under `ascent`. `config` describes the subject in the keys of an evolution, as
    older versions of this package expect. They read the run as an evolution that ended after
    generation 0 and spent all evaluations there.

    Args:
      planned: Plan of the ascent.
      mesh: Devices that the ascent uses.
      seconds: Run time so far.
      imports: Files of --import, from `imports_record`.
    """
    config, subject = planned.config, planned.subject
    values = dataclasses.asdict(subject.encoding.settings)
    fields = ENCODINGS.settings_of(subject.encoding.name)
    evolution = EvolveConfig(
        model=subject.networks.model,
        encoding=subject.encoding.name,
        generations=0,
        batch_size=planned.evaluations,
        seed=config.seed,
        run_dir=config.run_dir,
        weights=config.weights,
        mean=config.mean,
        **flags_of_picture(picture_settings(config)),
        precision=config.precision,
        crops=subject.crops,
        image_size=config.image_size,
        chunk=subject.chunk,
        settings={setting.key: values[setting.field] for setting in fields},
    )
    return new_record(
        "ascent",
        subject,
        mesh,
        config=record_of_run(with_preset(evolution)) | subject.hashes,
        generations=0,
        ascent=planned.record,
        seconds=seconds,
        imports=imports,
    )
