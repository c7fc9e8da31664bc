"""A classifier behind HTTP on loopback, as slow and as moody as its flags say. It imports no JAX.

Prints its port, and serves until its standard input ends.
"""

import argparse
import base64
import io
import json
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

CLASSES = 10


WEIGHTS = np.random.default_rng(0).normal(size=(256, CLASSES)).astype(np.float32) / 256


def logits(pictures):
    """Ten fixed combinations of the first bytes of each picture."""
    return pictures.reshape(len(pictures), -1)[:, :256].astype(np.float32) @ WEIGHTS


def pictures_of(body):
    """The pictures of a request."""
    if body.startswith(b"\x93NUMPY"):
        return np.load(io.BytesIO(body), allow_pickle=False)
    pngs = [base64.b64decode(text) for text in json.loads(body)["images"]]
    return np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in pngs])


def handler(delay, failures, dead):
    """A handler that waits, and fails at random, or always between two numbers of requests."""
    rng, lock, count = random.Random(0), threading.Lock(), iter(range(10**9))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self):
            begun = time.perf_counter()
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                number = next(count)
                fails = rng.random() < failures or dead[0] <= number < dead[1]
            answer = b"no"
            if not fails:
                buffer = io.BytesIO()
                np.save(buffer, logits(pictures_of(body)))
                answer = buffer.getvalue()
            head = f"HTTP/1.1 {503 if fails else 200} OK\r\nContent-Length: {len(answer)}\r\n\r\n"
            # The answer leaves when the delay is over, whatever the work has taken.
            time.sleep(max(0.0, delay - (time.perf_counter() - begun)))
            self.wfile.write(head.encode("ascii") + answer)

        def log_message(self, *words):
            pass

    return Handler


def main():
    """Serve until the standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.05)
    parser.add_argument("--failures", type=float, default=0.0)
    parser.add_argument("--dead", type=int, nargs=2, default=(0, 0))
    options = parser.parse_args()
    kind = handler(options.delay, options.failures, options.dead)
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
