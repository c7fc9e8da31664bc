"""An `EvolveConfig` with its names looked up and its defaults filled in."""

import dataclasses
from typing import Any

import jax

from qd_fool.commands.common.foreign import picture_settings
from qd_fool.commands.common.networks import Networks
from qd_fool.commands.common.subject import Subject, make_subject
from qd_fool.commands.evolve.config import CPU_MINUTES, EvolveConfig, record_of_run
from qd_fool.commands.evolve.parts import EMITTERS_BY_DEFAULT, emitter_shares, encoding_settings
from qd_fool.commands.evolve.presets import MANY_CLASSES, with_preset
from qd_fool.encodings import make_encoding
from qd_fool.map_elites.config import MapElitesConfig
from qd_fool.map_elites.evaluations import (
    counted_evaluations,
    evaluations_so_far,
    generation_cost,
    generations_for,
    next_cost,
)
from qd_fool.map_elites.extent import check_extent
from qd_fool.map_elites.state import EvolutionState
from qd_fool.models.network import Network, calls_in_flight, has_gradient
from qd_fool.models.sides import read_size, sides_of, size_on_record
from qd_fool.models.zoo import entry_of
from qd_fool.runs.genomes import KeepGenomes, what_to_keep


@dataclasses.dataclass(frozen=True, eq=False)
class EvolvePlan:
    """An `EvolveConfig` with its names looked up and its defaults filled in.

    Attributes:
      config: Configuration, with the defaults of network, encoding and machine filled in.
      subject: Network, encoding and scoring.
      map_elites: Settings of the search.
      record: Plain values for `run.json`. Those that decide the outcome are compared on resume.
      keep_genomes: Genomes to keep: the configuration's choice, with `auto` resolved.
    """

    config: EvolveConfig
    subject: Subject
    map_elites: MapElitesConfig
    record: dict[str, Any]
    keep_genomes: KeepGenomes

    @property
    def generations(self) -> int:
        """Number of generations after generation 0."""
        if self.config.generations is None:
            raise ValueError("a plan has its generations filled in")
        return self.config.generations

    @property
    def budget(self) -> int | None:
        """Evaluations that end the run before its generations do.

        None if all generations cost the same. They don't, if adaptive shares divide the batch among
        emitters of different costs.
        """
        varies = generation_cost(self.map_elites, self.subject.encoding).varies
        return self.record["evaluations"] if varies else None

    def evaluations(self, generation: int) -> int:
        """Evaluations counted up to the end of a generation, where generations cost the same."""
        return counted_evaluations(self.map_elites, generation, encoding=self.subject.encoding)

    def spent(self, state: EvolutionState) -> int:
        """Evaluations counted so far."""
        return evaluations_so_far(state, self.map_elites, encoding=self.subject.encoding)

    def affordable(self, state: EvolutionState) -> int:
        """Number of generations that surely fit into the budget; 0 if the next one exceeds it.

        Generation 0 and the one after it run with any budget.

        Args:
          state: State on the host or on devices.

        Raises:
          ValueError: The run has no budget.
        """
        if self.budget is None:
            raise ValueError("generations that cost the same are counted, not evaluations")
        config, encoding = self.map_elites, self.subject.encoding
        rest = self.budget - self.spent(state)
        sure = rest // generation_cost(config, encoding).most
        fits = int(state.generation) < 2 or next_cost(state, config, encoding=encoding) <= rest
        return sure or int(fits)


def plan(config: EvolveConfig, *, loaded: Network | None = None) -> EvolvePlan:
    """Look up names, read weights, fill in defaults.

    Args:
      config: Settings of the run.
      loaded: Network of the run, if it is loaded already. Its name need not be registered.

    Raises:
      UserError: A name is unknown, weights are unreadable, or a setting is out of range.
    """
    # Networks and preset. A preset depends on the number of classes.
    fields = [field.name for field in dataclasses.fields(Networks) if field.name != "picture"]
    networks = Networks(
        **{name: getattr(config, name) for name in fields}, picture=picture_settings(config)
    )
    if loaded is not None:
        scorer = loaded
        config = with_preset(
            config,
            imagenet=len(scorer.class_names) >= MANY_CLASSES,
            gradient=has_gradient(scorer),
        )
    elif None in [entry_of(name) for name in (config.model, *config.also)]:
        # Only the network knows how many classes it has, and whether it has a gradient.
        wanted = with_preset(config, imagenet=False).emitters
        networks = networks.with_gradient() if wanted != EMITTERS_BY_DEFAULT else networks
        scorer = networks.load()
        config = dataclasses.replace(config, engine=networks.engine_of(scorer))
        config = with_preset(
            config,
            imagenet=len(scorer.class_names) >= MANY_CLASSES,
            gradient=has_gradient(scorer),
        )
    else:  # names and settings are looked up before weights are read
        config = with_preset(config)
        scorer = networks.load()

    # Defaults that depend on the network and the machine.
    height, width, channels = scorer.image_shape
    if config.image_size is not None:
        height, width = sides_of(read_size(config.image_size, flag="--image-size"))
    given = {name: getattr(config, name) for name in ("generations", "evaluations", "minutes")}
    on_cpu = jax.default_backend() == "cpu"
    filled = fill_in(config, scorer, side=min(height, width), on_cpu=on_cpu)
    config = dataclasses.replace(
        config, image_size=size_on_record(height, width), evaluations=None, **filled
    )

    # Encoding and search.
    settings = encoding_settings(config)
    encoding = make_encoding(config.encoding, (height, width, channels), **settings)
    map_elites = map_elites_config(config)
    if given["evaluations"] is not None:
        # The evaluations per generation depend on the settings of the search.
        affordable = generations_for(map_elites, given["evaluations"], encoding=encoding)
        config = dataclasses.replace(config, generations=affordable)
    check_extent(
        generations=config.generations or 0, batch_size=filled["batch_size"], seed=config.seed
    )

    # The subject, and the record for run.json.
    subject = make_subject(
        networks, scorer, encoding, crops=map_elites.crops, chunk=map_elites.chunk
    )
    record = {
        **record_of_run(config),
        **given,  # the length of a run may change when it is resumed
        **subject.hashes,
    }
    keep = what_to_keep(config.keep_genomes, encoding)
    return EvolvePlan(config, subject, map_elites, record, keep)


def map_elites_config(config: EvolveConfig) -> MapElitesConfig:
    """The settings of the search, from a configuration that `plan` has filled in."""
    if config.batch_size is None or config.crops is None or config.chunk is None:
        raise ValueError("batch size, crops and chunk are not filled in")
    return MapElitesConfig(
        batch_size=config.batch_size,
        archive_rule=config.archive_rule,
        crops=config.crops,
        chunk=config.chunk,
        emitters=emitter_shares(config),
        shares=config.shares or "fixed",
        tune_after=config.tune_after or 0.0,
    )


def fill_in(config: EvolveConfig, scorer: Network, *, side: int, on_cpu: bool) -> dict[str, Any]:
    """The values of fields that are not given: the original's, where the hardware allows.

    Args:
      config: Configuration of the run.
      scorer: Network to fool.
      side: Length of the pictures' shorter side in pixels.
      on_cpu: Whether there is no accelerator.

    Returns:
      Values for `generations`, `batch_size`, `crops`, `chunk` and `minutes`.
    """
    imagenet = bool(scorer.wnids)
    batch_size = config.batch_size or (400 if imagenet and config.encoding == "cppn" else 200)
    minutes = config.minutes
    length_given = config.generations is not None or config.evaluations is not None
    if minutes is None and imagenet and on_cpu and not length_given:
        minutes = CPU_MINUTES
    generations = config.generations
    if generations is None:
        generations = 5000 if imagenet else 200
    crops = config.crops
    if crops is None:
        room = side > max(sides_of(scorer.input_size))
        crops = 10 if imagenet and not on_cpu and room else 1
    chunk = config.chunk or (scorer.chunk if on_cpu else scorer.accelerator_chunk)
    if config.chunk is None:  # calls at the same time share the batch
        chunk = min(chunk, -(-batch_size // calls_in_flight(scorer)))
    shares = [share.share for share in emitter_shares(config)]
    if config.chunk is None and len(shares) > 1 and config.shares != "adaptive":
        # Emitters fill whole chunks. The smallest share gets about two of them.
        chunk = min(chunk, max(1, int(batch_size * min(shares) / sum(shares) / 2)))
    return {
        "generations": generations,
        "batch_size": batch_size,
        "crops": crops,
        # A chunk larger than the batch would waste work on padding.
        "chunk": min(chunk, batch_size),
        "minutes": minutes,
    }
