"""A classifier behind a real HTTP server on loopback, which can be slow, moody or dead."""

import base64
import contextlib
import io
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image


class Service:
    """A function of pictures behind an address.

    Attributes:
      bodies: Shapes of the pictures of every request that was answered.
      sent: Requests that came in.
      headers: Headers of the last request.
      delay: Seconds that each answer takes.
      answer: Function `number of the request -> status`, 200 for an answer.
      form: Form of the answers: "json", "npy" or "bare".
    """

    def __init__(self, function):
        self.function, self.delay, self.form = function, 0.0, "json"
        self.bodies, self.sent, self.headers = [], 0, {}
        self.answer = lambda number: 200
        self.most = self.now = 0
        self.connections = []
        self.lock = threading.Lock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                service.serve(self)

            def log_message(self, *words):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = False  # so that none outlives the test

            def get_request(self):
                request, address = super().get_request()
                service.connections.append(request)
                return request, address

            def handle_error(self, request, client_address):
                pass  # clients that went away

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/classify"

    def serve(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        with self.lock:
            self.sent += 1
            number, self.headers = self.sent, dict(handler.headers)
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.delay)
        status = self.answer(number)
        answer, kind = b"no", "text/plain"
        if status == 200:
            pictures = decode(body)
            answer, kind = self.encode(self.function(pictures))
            with self.lock:
                self.bodies.append(pictures.shape)
        with self.lock:
            self.now -= 1
        if status == "cut":
            handler.close_connection = True
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[[1")
            return
        if status == "half":
            status, answer = 200, b'{"scores": [[1, 2'
        handler.send_response(status)
        if status in (301, 302):
            handler.send_header("Location", "http://127.0.0.1:9/")
        if status == 429:
            handler.send_header("Retry-After", "0")
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)

    def encode(self, numbers):
        if self.form == "npy":
            buffer = io.BytesIO()
            np.save(buffer, numbers)
            return buffer.getvalue(), "application/x-npy"
        rows = np.asarray(numbers, np.float64).tolist()
        value = rows if self.form == "bare" else {"scores": rows}
        return json.dumps(value).encode(), "application/json"


def decode(body):
    if body.startswith(b"\x93NUMPY"):
        return np.load(io.BytesIO(body), allow_pickle=False)
    pngs = [base64.b64decode(text) for text in json.loads(body)["images"]]
    pictures = [np.asarray(Image.open(io.BytesIO(png))) for png in pngs]
    return np.stack([p[..., None] if p.ndim == 2 else p for p in pictures])


@contextlib.contextmanager
def running(function):
    """A service that is up for as long as the block."""
    service = Service(function)
    thread = threading.Thread(target=service.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.server.shutdown()
        for connection in service.connections:
            with contextlib.suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)
        service.server.server_close()
        thread.join()
