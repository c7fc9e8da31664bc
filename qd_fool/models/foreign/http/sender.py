"""Requests to a service: repeated with growing pauses, slowed down, counted.

A request is sent again after errors that may pass: no connection, a timeout, an answer that breaks
off, and the status codes 408, 425, 429 and 500 to 504. The pauses grow exponentially, and each is
random up to its bound, so that several clients do not return at the same moment.
"""

import dataclasses
import random
import threading
import time
import weakref
from typing import Any

from qd_fool.errors import BudgetSpentError, PauseError, UserError
from qd_fool.models.foreign.http.bodies import BadAnswerError, decode

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Status codes after which a request is sent again."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Bound on the pause after the first failure in seconds, and on any pause."""

LONGEST_ANSWER = 2**26
"""Bytes of an answer."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of the requests.

    Attributes:
      in_flight: Requests at the same time.
      timeout: Seconds for one request, from its start to the end of the answer.
      retries: Repetitions of a request that failed.
      rate: Highest number of requests per second; None for no limit.
      requests: Highest number of requests in all, repetitions included; None for no limit.
    """

    in_flight: int
    timeout: float
    retries: int
    rate: float | None
    requests: int | None


class Sender:
    """A connection to a service, for several threads.

    Attributes:
      url: Address of the service.
      sent: Number of requests so far, repetitions included.
    """

    def __init__(self, url: str, limits: Limits, *, token: str | None) -> None:
        """Prepare the connection. Nothing is sent yet.

        Args:
          url: Address of the service.
          limits: Limits of the requests.
          token: Secret of the header `Authorization: Bearer`, or None.

        Raises:
          UserError: The package httpx is not installed.
        """
        httpx = import_httpx()
        self.url, self.sent = url, 0
        self._limits, self._token = limits, token
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._client = httpx.Client(
            headers=headers,
            timeout=limits.timeout,
            limits=httpx.Limits(
                max_connections=limits.in_flight, max_keepalive_connections=limits.in_flight
            ),
        )
        weakref.finalize(self, self._client.close)
        self._errors = httpx.TransportError
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._next_time = 0.0

    def post(self, body: bytes, kind: str) -> Any:
        """Send a body until an answer comes, and return the numbers of the answer.

        Args:
          body: Body of the request.
          kind: Content type of the body.

        Raises:
          PauseError: No answer came, or the budget is spent.
          UserError: The service refuses the request.
        """
        stop, problem = self._stop, ""
        for attempt in range(self._limits.retries + 1):
            self._wait_for_turn(stop)
            wait = None
            try:
                status, reason, wait, answer = self._send(body, kind)
                if status < 300:
                    return decode(answer)
                problem = f"{status} {reason}".strip()
                if status not in PASSING:
                    raise UserError(f"{self.url} answered {problem}{self._detail(answer)}")
            except BadAnswerError as error:
                problem = f"it answered with {error}"
            except self._errors as error:
                problem = str(error) or type(error).__name__
            if attempt < self._limits.retries:
                self._pause(attempt, wait, stop)
        times = "once" if not self._limits.retries else f"{self._limits.retries + 1} times"
        raise PauseError(f"{self.url} was asked {times} without an answer ({problem})")

    def check(self, requests: int) -> None:
        """Check that so many more requests are in the budget.

        Raises:
          BudgetSpentError: They are not.
        """
        most = self._limits.requests
        if most is not None and self.sent + requests > most:
            raise BudgetSpentError(
                f"the budget of {most} requests to {self.url} is spent: {self.sent} were sent, and "
                f"{requests} more are needed"
            )

    def cancel(self) -> None:
        """End all pauses of requests in other threads, which then give up."""
        stopped, self._stop = self._stop, threading.Event()
        stopped.set()

    def _send(self, body: bytes, kind: str) -> tuple[int, str, float | None, bytes]:
        """Send once: status, reason, seconds that the service asks to wait, and body."""
        deadline = time.monotonic() + self._limits.timeout
        received = bytearray()
        headers = {"Content-Type": kind, "Accept": "application/json, application/x-npy"}
        with self._client.stream("POST", self.url, content=body, headers=headers) as response:
            for part in response.iter_bytes():
                received += part
                if len(received) > LONGEST_ANSWER:
                    raise UserError(
                        f"{self.url} answers with more than {LONGEST_ANSWER >> 20} MB: expected "
                        "one row of numbers per picture"
                    )
                if time.monotonic() > deadline:
                    raise BadAnswerError(f"no end within {self._limits.timeout:g} s")
            wait = response.headers.get("Retry-After", "")
            seconds = float(wait) if wait.isdecimal() else None
            return response.status_code, response.reason_phrase, seconds, bytes(received)

    def _detail(self, answer: bytes) -> str:
        """The beginning of an answer that refuses, on one line and without the token."""
        text = " ".join(answer[:500].decode("utf-8", "replace").split())
        if self._token is not None:
            text = text.replace(self._token, "...")
        text = text[:120]
        return f": {text}" if text and text.isprintable() else ""

    def _wait_for_turn(self, stop: threading.Event) -> None:
        """Count a request, and wait until the rate permits it."""
        with self._lock:
            self.check(1)
            self.sent += 1
            if self._limits.rate is None:
                return
            now = time.monotonic()
            start = max(now, self._next_time)
            self._next_time = start + 1 / self._limits.rate
        self._sleep(start - now, stop)

    def _pause(self, attempt: int, asked: float | None, stop: threading.Event) -> None:
        bound = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE)
        seconds = random.uniform(bound / 2, bound)  # noqa: S311  # no secret
        self._sleep(max(seconds, min(asked or 0.0, LONGEST_PAUSE)), stop)

    def _sleep(self, seconds: float, stop: threading.Event) -> None:
        if stop.wait(seconds):
            raise PauseError(f"{self.url} is not asked any more")


def import_httpx() -> Any:
    """The package that sends requests.

    Raises:
      UserError: It isn't installed.
    """
    try:
        import httpx
    except ImportError as error:
        raise UserError(
            "a network behind an address needs the package httpx: pip install 'qd-fool[http]'"
        ) from error
    return httpx
