"""Fetching against a server of the test's own, which misbehaves as told."""

import hashlib
import http.server
import os
import signal
import socket
import sys
import threading

import pytest

from qd_fool.errors import UserError
from qd_fool.files import cache_dir
from qd_fool.models import fetch as module
from qd_fool.models.fetch import RemoteFile, cached, fetch

BODY = bytes(range(256)) * 4000  # a megabyte: several chunks
SHA256 = hashlib.sha256(BODY).hexdigest()
NAME = "net-12345678.pth"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.requests.append(self.path)
        if self.path == "/absent":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        if self.path == "/whole":
            self.wfile.write(BODY)
            return
        self.wfile.write(BODY[: len(BODY) // 2])
        self.wfile.flush()
        if self.path == "/cut":
            return
        if self.path == "/interrupts":
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        server.go_on.wait(10)  # "/interrupts", "/hangs"
        if self.path == "/waits":
            self.wfile.write(BODY[len(BODY) // 2 :])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests = []
        server.go_on = threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("QD_FOOL_CACHE", str(tmp_path / "a" / "cache"))
    return tmp_path / "a" / "cache"


def remote(server, path="/whole", *, hash=f"sha256:{SHA256}"):
    return RemoteFile(url=server.url + path, name=NAME, size=len(BODY), hash=hash)


def kept(cache):
    """What is in the cache, but for the empty lock."""
    return {p.name: p.read_bytes() for p in cache.iterdir() if p.name != f".{NAME}.lock"}


def fails(file, *, match, progress=None):
    """One sentence, which is returned."""
    with pytest.raises(UserError, match=match) as raised:
        fetch(file, progress=progress)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    "stated",
    [
        f"sha256:{SHA256}",
        f"sha1:{hashlib.sha1(BODY, usedforsecurity=False).hexdigest()}",
        f"sha256-prefix:{SHA256[:8]}",
    ],
)
def test_fetched_once(server, cache, stated):
    file = remote(server, hash=stated)
    assert cached(file) is None
    assert not cache.exists()  # asking makes nothing
    path = fetch(file)
    assert path == cache / NAME == cached(file)
    assert kept(cache) == {NAME: BODY}
    assert fetch(file) == path
    assert server.requests == ["/whole"]


def test_the_bar(server, capfd):
    fetch(remote(server))
    output = capfd.readouterr().err  # no terminal here
    assert output == f"fetching {NAME} (1.0 MB, sha256 {SHA256}) from {server.url}/whole\n"
    (cache_dir() / NAME).unlink()
    fetch(remote(server), progress=True)
    assert "100%" in capfd.readouterr().err


@pytest.mark.parametrize("algorithm", ["sha256:" + "0" * 64, "sha1:" + "0" * 40])
def test_another_hash(server, cache, algorithm):
    name, digest = algorithm.split(":")
    found = hashlib.new(name, BODY).hexdigest()
    output = fails(
        remote(server, hash=algorithm),
        match=rf"/whole gave 1,024,000 bytes with {name} {found}, "
        rf"expected {NAME} \(1\.0 MB, {name} {digest}\), so nothing was kept",
    )
    assert f"put the file {NAME}" in output
    assert kept(cache) == {}


def test_another_prefix(server, cache):
    fails(remote(server, hash="sha256-prefix:7be5be79"), match=r"sha256 7be5be79\.\.\.\), so")
    assert kept(cache) == {}


@pytest.mark.parametrize(
    ("path", "reason"), [("/absent", "HTTP 404 Not Found"), ("/cut", "the connection broke off")]
)
@pytest.mark.parametrize("progress", [True, False])
def test_what_the_server_does(server, cache, path, reason, progress):
    output = fails(remote(server, path), match=rf"\({reason}\)", progress=progress)
    assert output == (
        f"{NAME} cannot be fetched from {server.url}{path} ({reason}): "
        f"put the file {NAME} (1.0 MB, sha256 {SHA256}) into {cache}, or pass it by --weights"
    )
    assert kept(cache) == {}


def test_a_server_that_hangs(server, cache, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    fails(remote(server, "/hangs"), match=r"\(timed out\): put the file")
    server.go_on.set()
    assert kept(cache) == {}


def test_a_port_that_refuses(cache, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = RemoteFile(f"http://127.0.0.1:{port}/x", NAME, 244_408_911, "sha256-prefix:7be5be79")
    output = fails(file, match=r"\(Connection refused\)")
    assert f"put the file {NAME} (244 MB, sha256 7be5be79...) into {cache}" in output
    assert kept(cache) == {}


def test_no_such_host(cache, monkeypatch):
    def offline(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    file = RemoteFile("https://nowhere.example/x", NAME, 5, "sha256-prefix:7be5be79")
    fails(file, match=r"\(Name or service not known\): put the file")
    assert kept(cache) == {}


def test_interrupted(server, cache):
    # A shell's background jobs are started with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fetch(remote(server, "/interrupts"))
    finally:
        signal.signal(signal.SIGINT, before)
    assert server.requests == ["/interrupts"]
    assert kept(cache) == {}
    fetch(remote(server))  # the lock is free
    assert kept(cache) == {NAME: BODY}


def test_after_a_killed_process(server, cache):
    cache.mkdir(parents=True)
    (cache / f".{NAME[:-4]}.partial.pth").write_bytes(BODY[:1000])
    fetch(remote(server))
    assert kept(cache) == {NAME: BODY}


def test_a_file_put_there_by_hand(server, cache):
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(BODY)
    assert fetch(remote(server)) == cache / NAME
    assert server.requests == []


def test_a_read_only_cache_that_has_the_file(server, cache, monkeypatch):
    fetch(remote(server))
    monkeypatch.setattr(module, "FileLock", None)  # root may write anywhere: see that none is made
    assert fetch(remote(server)) == cache / NAME


def test_a_damaged_file_is_fetched_anew_and_kept_aside(server, cache, capsys):
    damaged = BODY[:-1]
    found = hashlib.sha256(damaged).hexdigest()
    fetch(remote(server))
    (cache / NAME).write_bytes(damaged)
    assert cached(remote(server)) is None
    capsys.readouterr()
    fetch(remote(server))
    aside = f"net-12345678.misfit-{found[:8]}.pth"
    assert kept(cache) == {NAME: BODY, aside: damaged}
    output = capsys.readouterr().err
    assert f"{cache / NAME} has sha256 {found}, expected {SHA256}: fetching it anew" in output
    assert f"now {cache / aside}" in output


@pytest.mark.parametrize("path", ["/absent", "/cut"])
def test_a_file_that_does_not_fit_stays_where_no_other_is_to_be_had(server, cache, path):
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(b"mine")
    found = hashlib.sha256(b"mine").hexdigest()
    fails(remote(server, path), match=rf"in place of the one there \(sha256 {found}\), or pass")
    assert kept(cache) == {NAME: b"mine"}


def test_a_file_that_cannot_be_read(server, cache):
    (cache / NAME).mkdir(parents=True)
    fails(remote(server), match=rf"cannot read {cache / NAME} \(Is a directory\), expected")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk(server, cache, monkeypatch):
    import pooch

    class Full(pooch.HTTPDownloader):
        def __call__(self, url, output_file, *args):
            super().__call__(url, "/dev/full", *args)

    monkeypatch.setattr(pooch, "HTTPDownloader", Full)
    fails(
        remote(server),
        match=rf"cannot write {NAME} \(1\.0 MB, .*\) to {cache} \(No space left on device\)",
    )
    assert kept(cache) == {}


def test_a_cache_that_cannot_be_made(server, cache):
    cache.parent.write_bytes(b"a file")
    fails(remote(server), match=rf"to {cache} \(Not a directory\): .* set QD_FOOL_CACHE")


def test_two_at_once_download_once(server, cache, capsys):
    file = remote(server, "/waits")
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(fetch(file))) for _ in range(2)]
    for thread in threads:
        thread.start()
    output = ""
    for _ in range(1000):
        output += capsys.readouterr().err
        if "waiting for another process" in output:
            break
        threads[0].join(0.01)
    server.go_on.set()
    for thread in threads:
        thread.join()
    assert output.count(f"waiting for another process that fetches {NAME}") == 1
    assert paths == [cache / NAME] * 2
    assert server.requests == ["/waits"]


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("QD_FOOL_CACHE", "~/there")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "there"
    monkeypatch.setenv("QD_FOOL_CACHE", "")
    assert cache_dir().name == "qd-fool"


@pytest.mark.parametrize("stated", ["", "sha256:abc", "md5:" + "0" * 32, "sha1:" + "G" * 40])
def test_hashes_of_no_known_form(stated):
    with pytest.raises(ValueError, match=r"no hash of a form that is known"):
        RemoteFile("http://x/y", "y", 1, stated)


@pytest.mark.parametrize("name", ["../y", "a/b", ".hidden", ""])
def test_names_that_leave_the_cache(name):
    with pytest.raises(ValueError, match=r"not a plain file name"):
        RemoteFile("http://x/y", name, 1, "sha256-prefix:7be5be79")


def test_importing_is_light():
    """The command starts without the libraries for downloads."""
    import subprocess

    code = "import sys, qd_fool.models.fetch; print({'pooch', 'requests', 'tqdm'} & {*sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
