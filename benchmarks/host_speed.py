"""How fast a search is against a network on the host that only waits: a function, a service.

Each call takes 50 ms and next to no computation, so the rate that the waiting allows is known. A
generation has 8 chunks. The service runs in a process of its own, and its requests are repeated
after failures; the last row compares archives.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from common import HERE, median_ratio, report
from loopback import CLASSES, logits

from qd_fool import MapElitesConfig, from_callable, from_http, make_encoding
from qd_fool.devices.mesh import make_mesh
from qd_fool.errors import PauseError
from qd_fool.map_elites.host_segments import Unfinished
from qd_fool.map_elites.segments import compile_segment, make_segment
from qd_fool.map_elites.state import init

DELAY, CHUNKS = 0.05, 8


@contextlib.contextmanager
def service(*flags):
    """The address of a service that is up for as long as the block."""
    command = [sys.executable, str(HERE / "loopback.py"), *map(str, flags)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/"
        process.stdin.close()


def sleeping(pictures):
    """Logits after a pause."""
    time.sleep(DELAY)
    return logits(pictures)


def search(scorer, encoding, chunk):
    """A segment of a search, and its first state."""
    config = MapElitesConfig(batch_size=CHUNKS * chunk, chunk=chunk)
    segment = make_segment(scorer, encoding, config, mesh=make_mesh(1), length=64)
    state = init(encoding, CLASSES, seed=0)
    return compile_segment(segment, state, ()), state


def measure(scorer, encoding, chunk, options):
    """Pictures per second of a search, and the share of the same calls alone, in turns."""
    segment, state = search(scorer, encoding, chunk)
    state, _ = segment(state, (), 1)
    shape = (chunk, *encoding.image_shape)
    pictures = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    calls, seconds = CHUNKS * options.generations, [[], []]
    for _ in range(options.rounds):
        begun = time.perf_counter()
        state, _ = segment(state, (), options.generations)
        seconds[0].append(time.perf_counter() - begun)
        begun = time.perf_counter()
        if scorer.in_flight == 1:
            for _ in range(calls):
                scorer.score(pictures)
        else:
            with ThreadPoolExecutor(scorer.in_flight) as pool:
                list(pool.map(scorer.score, [pictures] * calls))
        seconds[1].append(time.perf_counter() - begun)
    rates = [calls * chunk / x for x in seconds[0]]
    return statistics.median(rates), median_ratio(seconds[1], seconds[0])


def rows(kinds, options):
    """Rows of the table: each network at each size of pictures."""
    sizes = {28: ("direct", 1, 25), 224: (options.large, 3, options.chunk)}
    for kind in kinds:
        for side, (name, channels, chunk) in sizes.items():
            shape = (side, side, channels)
            encoding = make_encoding(name, shape)
            found = {}
            for post, in_flight in [("", 1)] if kind == "function" else SERVICES:
                if kind == "function":
                    scorer = from_callable(sleeping, image_shape=shape, outputs="logits")
                    found[post, in_flight] = measure(scorer, encoding, chunk, options)
                    continue
                with service("--delay", DELAY) as url:
                    scorer = from_http(
                        url, image_shape=shape, outputs="logits", post=post, in_flight=in_flight
                    )
                    found[post, in_flight] = measure(scorer, encoding, chunk, options)
            for (post, in_flight), (pictures, ratio) in found.items():
                single = found.get(("npy", 1), (None,))[0]
                yield {
                    "network": kind,
                    "pictures": f"{side}x{side}, {name}",
                    "form": post or "-",
                    "in flight": in_flight,
                    "pictures/s": round(pictures),
                    "of 50 ms per call": f"{pictures * DELAY / chunk / in_flight:.3f}",
                    "of the calls alone": f"{ratio:.3f}",
                    "x one in flight": f"{pictures / single:.2f}" if single else "-",
                }


SERVICES = [("npy", 1), ("npy", 4), ("png", 4)]


def moody():
    """Whether a service that fails, dies and returns gives the archive of an undisturbed one."""
    encoding = make_encoding("direct", (28, 28, 1))
    archives, pauses = [], 0
    for flags in ((), ("--failures", 0.1, "--dead", 150, 190)):
        with service("--delay", 0, *flags) as url:
            scorer = from_http(url, image_shape=(28, 28, 1), outputs="logits", retries=3)
            segment, state = search(scorer, encoding, 5)
            done = 0
            while done < 30:
                try:
                    state, log = segment(state, (), 30 - done)
                    done += len(log.id)
                except Unfinished as unfinished:
                    state = unfinished.state
                    pauses += isinstance(unfinished.cause, PauseError)
                    done += unfinished.generations
            archives.append(jax.device_get(state))
    leaves = [jax.tree.leaves(archive) for archive in archives]
    same = all(np.array_equal(a, b) for a, b in zip(*leaves, strict=True))
    return same, pauses


def main():
    """Compare archives, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", default="direct", help="encoding of 224x224 pictures")
    parser.add_argument("--chunk", type=int, default=4, help="pictures per chunk at 224x224")
    parser.add_argument("--table", default="host_speed")
    options = parser.parse_args()
    same, pauses = moody()
    print(f"moody service: archives equal: {same}, after {pauses} pauses", flush=True)
    assert same
    words = (
        "A search against a network that only waits: 50 ms per call, 8 chunks per generation, 25 "
        f"pictures per chunk at 28x28 and {options.chunk} at 224x224. The calls alone are a loop "
        "that does nothing else, in turns with the search, because a busy machine delays them, "
        "too. A service that failed 10% of its requests, and all from 150 to 190, paused the "
        f"search {pauses} times; the archive had the bits of the undisturbed one."
    )
    report(options.table, list(rows(("function", "service"), options)), words=words)


if __name__ == "__main__":
    main()
