"""The scoring of pictures by networks on the host, chunk by chunk.

JAX draws the pictures of a chunk and cuts the crops (`show`); the host asks the networks (`ask`);
JAX turns the answers into log-odds (`join`). All calls have one shape, so each function is
compiled once. Gradients take the same way back: `image_gradient`.

The host never calls back from compiled code (`jax.pure_callback`), because such calls can wait
for each other forever on a CPU if arrays are large (jax-ml/jax issue 24255).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num, PyTree, UInt8

from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.joint import JointScorer
from qd_fool.models.network import Network, calls_in_flight, members_of
from qd_fool.models.scorer import Scorer
from qd_fool.scoring.crops import crop, crop_places
from qd_fool.scoring.log_odds import log_odds, log_odds_of, mean_confidence_log_odds

Shown = tuple[Array, ...]
"""The pictures that each network sees: crops `(crops, n, high, wide, channels)` on the host, the
whole pictures in JAX."""

Answers = tuple[Any, ...]
"""The answer of each network: numbers `(crops, n, numbers)` on the host, log-odds in JAX."""


class HostScoring:
    """A network that is on the host, or several of which one is, as functions of chunks.

    Attributes:
      scorer: The network.
      members: The single networks.
      crops: Crops per picture, 1 or 10.
      in_flight: Calls of a network at the same time.
      join: Jitted function from answers to log-odds `(n, classes)`, and to the values that the
        objective "logit" climbs.
    """

    def __init__(self, scorer: Network, *, crops: int) -> None:
        self.scorer, self.crops = scorer, crops
        self.members = members_of(scorer)
        hosts = [member for member in self.members if isinstance(member, HostScorer)]
        self.in_flight = calls_in_flight(scorer)
        self._hosts = hosts
        self.join = jax.jit(self.joined)
        self._score = [jax.jit(partial(log_odds, member, crops=crops)) for member in self.members]
        self._back = [jax.jit(partial(self._slope, member)) for member in self.members]

    def show(self, images: UInt8[Array, "n height width channels"]) -> Shown:
        """Return the pictures that each network sees. This function is pure, for use under jit."""
        return tuple(
            self._cut(member, images) if isinstance(member, HostScorer) else images
            for member in self.members
        )

    def ask(self, params: PyTree[Array], shown: Shown, count: int) -> Answers:
        """Return the answers of all networks to a chunk.

        Args:
          params: The network's parameters.
          shown: Pictures from `show`.
          count: Pictures that count. The others only fill the chunk up and are not sent.

        Raises:
          UserError: A network failed.
        """
        answers: list[Any] = []
        for i, member in enumerate(self.members):
            if isinstance(member, Scorer):
                answers.append(self._score[i](self._params(params, i), shown[i]))
                continue
            crops = member.hand(shown[i])
            numbers = np.zeros((*shown[i].shape[:2], member.numbers), np.float32)
            for k in range(len(numbers)):
                numbers[k, :count] = member.score(crops[k][:count])
            answers.append(numbers)
        return tuple(answers)

    def joined(
        self, answers: Answers
    ) -> tuple[Float[Array, "n classes"], Float[Array, "n classes"]]:
        """Return log-odds, and logits or again log-odds. This function is pure."""
        each, logits = [], None
        for member, answer in zip(self.members, answers, strict=True):
            if isinstance(member, HostScorer):
                per_crop = jax.vmap(member.to_logits)(answer)
                odds = mean_confidence_log_odds(jax.vmap(partial(log_odds_of, member))(per_crop))
                logits = jnp.mean(per_crop, axis=0)
                each.append(odds)
            else:
                each.append(answer)
        if isinstance(self.scorer, JointScorer):
            odds = self.scorer.combine(jnp.stack(each))
            return odds, odds
        assert logits is not None  # noqa: S101  # a single network is on the host
        return each[0], logits

    def image_gradient(
        self,
        params: PyTree[Array],
        images: UInt8[Array, "n height width channels"],
        shown: Shown,
        shares: Answers,
    ) -> Float[Array, "n height width channels"]:
        """Return the gradient of `sum(shares * answers)` with respect to the pictures.

        Args:
          params: The network's parameters.
          images: Pictures of a chunk.
          shown: Pictures from `show`.
          shares: Weight of each number of the answers.

        Raises:
          UserError: A network failed.
        """
        slopes = []
        for i, member in enumerate(self.members):
            given = shares[i]
            if isinstance(member, HostScorer):
                assert member.gradient is not None  # noqa: S101  # `has_gradient` was asked
                weights, crops = np.asarray(given), member.hand(shown[i])
                given = np.stack([member.gradient(crops[k], w) for k, w in enumerate(weights)])
            slopes.append(self._back[i](self._params(params, i), images, given))
        return jnp.sum(jnp.stack(slopes), axis=0) if len(slopes) > 1 else slopes[0]

    def score_chunks(
        self, params: PyTree[Array], draw: Callable[[int], Shown], counts: Sequence[int]
    ) -> Float[np.ndarray, "n classes"]:
        """Score chunk after chunk. The next chunks are drawn while the host waits for answers.

        Args:
          params: The network's parameters.
          draw: Function from the number of a chunk to its pictures. JAX draws in the background.
          counts: Pictures of each chunk that count.

        Returns:
          Log-odds of all pictures, of whole chunks.

        Raises:
          UserError: A network failed.
        """

        def answer(shown: Shown, count: int) -> np.ndarray:
            return np.asarray(self.join(self.ask(params, shown, count))[0])

        if self.in_flight == 1:
            odds, shown = [], draw(0)
            for i, count in enumerate(counts):
                following = draw(i + 1) if i + 1 < len(counts) else shown
                odds.append(answer(shown, count))
                shown = following
            return np.concatenate(odds)

        # Several calls at once. As many chunks again are drawn ahead, so that no call waits for one
        # when several answers come at once.
        ahead = 2 * self.in_flight
        pending: list[Future[np.ndarray]] = []
        with ThreadPoolExecutor(self.in_flight) as pool:
            try:
                for i, count in enumerate(counts):
                    if i >= ahead:
                        pending[i - ahead].result()
                    pending.append(pool.submit(answer, draw(i), count))
                return np.concatenate([future.result() for future in pending])
            except BaseException:
                for member in self._hosts:
                    member.cancel()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def check(self, chunks: int, pictures: int, *, chunk: int) -> None:
        """Check that the networks accept the calls for chunks now, and for pictures at the end.

        Args:
          chunks: Number of chunks.
          pictures: Number of pictures that will be scored at the end of the run.
          chunk: Pictures per chunk.

        Raises:
          UserError: They do not, because of a budget.
        """
        for member in self._hosts:
            if member.check is not None:
                member.check((chunks + -(-pictures // chunk)) * self.crops)

    def _params(self, params: PyTree[Array], i: int) -> PyTree[Array]:
        return params[i] if isinstance(self.scorer, JointScorer) else params

    def _cut(self, member: HostScorer, images: Num[Array, "n height width channels"]) -> Array:
        size = member.input_size
        places = crop_places(images.shape[1:], size=size, crops=self.crops)
        return jnp.stack([member.prepare(crop(images, place, size=size)) for place in places])

    def _slope(
        self,
        member: Scorer | HostScorer,
        params: PyTree[Array],
        images: UInt8[Array, "n height width channels"],
        given: Array,
    ) -> Array:
        """The gradient of the pictures, from that of the crops or of the log-odds."""
        x = images.astype(jnp.float32)
        if isinstance(member, HostScorer):
            return jax.vjp(partial(self._cut, member), x)[1](given)[0]
        return jax.vjp(lambda x: log_odds(member, params, x, crops=self.crops), x)[1](given)[0]


def host_score_function(
    scorer: Network, *, crops: int, chunk: int
) -> Callable[[PyTree[Array], np.ndarray], np.ndarray]:
    """Return a function that scores any number of 8-bit pictures, `chunk` per call.

    Args:
      scorer: A network that is on the host.
      crops: 1 or 10.
      chunk: Pictures per call.
    """
    scoring = HostScoring(scorer, crops=crops)
    show = jax.jit(scoring.show)

    def call(params: PyTree[Array], images: np.ndarray) -> np.ndarray:
        n = len(images)
        filled = np.concatenate([images, np.repeat(images[:1], -n % chunk, axis=0)])
        counts = [min(chunk, n - start) for start in range(0, n, chunk)]
        return scoring.score_chunks(
            params, lambda i: show(filled[i * chunk : (i + 1) * chunk]), counts
        )[:n]

    return call
