"""The search: MAP-Elites with one cell per class of the network.

A generation is four pure functions, and `step` is nothing but them:

- `ask` makes offspring from the archive's elites;
- `improve` lets emitters with a gradient work on their offspring;
- `score` draws the offspring and shows them to the network;
- `tell` lets the scored offspring compete for the cells.

A loop of your own may call the four one by one, with anything in between, and gets the bits of
`step`:

    state = init(encoding, cells, seed=0, feedback=config.feedback)
    for _ in range(generations):
        offspring = ask(state, encoding=encoding, config=config)
        offspring = improve(
            state, offspring, params, scorer=scorer, encoding=encoding, config=config
        )
        scores = score(offspring, params, scorer=scorer, encoding=encoding, config=config)
        state, log = tell(state, offspring, scores, encoding=encoding, config=config)

Put each call, or all of them, under `jax.jit`: a call without it compiles anew each time.

Three demands make the code harder than this loop.

*The same bits everywhere.* A run can be stopped, killed, resumed and spread over any number of
devices, and gives the same archive. So an individual's key follows from the seed, the generation
and the index in the batch, and from nothing else. XLA's last bits depend on the shapes that it
compiles for. So all work that involves floats is done in chunks of one size: a batch is cut into
whole chunks, each device gets equally many, and individuals that fill the last ones up bid for
nothing. An emitter fills whole chunks, too, hence `Share` and `emitters.shares`.

*The speed of the bare network.* A LeNet scores a picture in microseconds, and a call from Python
costs more than a generation. So `segments` compiles up to some dozens of generations as one call,
with the number of generations as an argument, so that the last, shorter call does not compile
again. The first generation is a branch of the same program for the same reason. The state is
donated: the archive is updated in place. Devices wait for each other once per generation, in
`tell`, where they exchange the offspring that could win a cell in a single message.

*Many runs at once.* Retraining needs a hundred small archives. `many_seeds` maps `step` over seeds;
that is why `step` has no state outside its arguments, and why choices that depend on the generation
do not depend on the seed.

`config` has the settings, `state` the arrays, `generation` the step, `generation_end` its end,
`division` each emitter's part of a batch, `feedback` what a run learns from its offspring,
`evaluations` what it has spent, and `whole_run` the call that `qd_fool.evolve` is.
"""

from typing import TYPE_CHECKING

from qd_fool.lazy import lazy_names

if TYPE_CHECKING:
    from qd_fool.map_elites.config import MapElitesConfig
    from qd_fool.map_elites.evaluations import (
        counted_evaluations,
        generations_for,
        offspring_of,
    )
    from qd_fool.map_elites.generation import ask, improve, score, step
    from qd_fool.map_elites.generation_end import tell
    from qd_fool.map_elites.segments import make_segment, raise_if_bad, segment_lengths
    from qd_fool.map_elites.state import EvolutionState, GenerationLog, init
    from qd_fool.map_elites.whole_run import evolve
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "EvolutionState": "qd_fool.map_elites.state",
            "GenerationLog": "qd_fool.map_elites.state",
            "MapElitesConfig": "qd_fool.map_elites.config",
            "ask": "qd_fool.map_elites.generation",
            "counted_evaluations": "qd_fool.map_elites.evaluations",
            "evolve": "qd_fool.map_elites.whole_run",
            "generations_for": "qd_fool.map_elites.evaluations",
            "improve": "qd_fool.map_elites.generation",
            "init": "qd_fool.map_elites.state",
            "make_segment": "qd_fool.map_elites.segments",
            "offspring_of": "qd_fool.map_elites.evaluations",
            "raise_if_bad": "qd_fool.map_elites.segments",
            "score": "qd_fool.map_elites.generation",
            "segment_lengths": "qd_fool.map_elites.segments",
            "step": "qd_fool.map_elites.generation",
            "tell": "qd_fool.map_elites.generation_end",
        },
    )

__all__ = [
    "EvolutionState",
    "GenerationLog",
    "MapElitesConfig",
    "ask",
    "counted_evaluations",
    "evolve",
    "generations_for",
    "improve",
    "init",
    "make_segment",
    "offspring_of",
    "raise_if_bad",
    "score",
    "segment_lengths",
    "step",
    "tell",
]
