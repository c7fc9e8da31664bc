"""Emitters that change one thing at a time: a fine step, alone or with one other change.

Each is an operator of the encoding, with a choice of parents. The run adapts the size of the steps
(`map_elites.feedback`). Source of several emitters in one run: Cully, "Multi-emitter MAP-Elites"
(2021). The operators themselves are this project's.
"""

from collections.abc import Callable

from jaxtyping import Array, Float, Key, PyTree

from qd_fool.emitters.base import Emitter
from qd_fool.emitters.operator_settings import OperatorSettings
from qd_fool.emitters.parents import choose_parents
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError, check_range
from qd_fool.models.network import Network

Builder = Callable[[OperatorSettings, Encoding, Network | None, int], Emitter]


def _emitter_of(name: str) -> Builder:
    def build(
        settings: OperatorSettings, encoding: Encoding, scorer: Network | None, crops: int
    ) -> Emitter:
        del scorer, crops
        if name not in encoding.operators:
            known = ", ".join(encoding.operators) or "none"
            raise UserError(
                f"emitter {name}: the {encoding.name} encoding has no such operator; it has {known}"
            )
        check_range(settings, "step", above=0, owner=name)
        operator = encoding.operators[name]

        def emit(
            keys: Key[Array, " n"],
            parents: PyTree[Array],
            mates: PyTree[Array],
            generation: Array,
            steps: Float[Array, " n"],
        ) -> PyTree[Array]:
            del generation
            return operator.vary(keys, parents, mates, steps)

        step = operator.step if settings.step is None else settings.step
        return Emitter(1, choose_parents(settings.parents), emit, step=step)

    build.__doc__ = f"""Build the emitter "{name}", from the encoding's operator of that name."""
    return build


fine = _emitter_of("fine")
edge = _emitter_of("edge")
node = _emitter_of("node")
prune = _emitter_of("prune")
function = _emitter_of("function")
recombine = _emitter_of("recombine")
