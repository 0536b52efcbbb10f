"""Real servers for tests: started, killed, paused and restarted at will, on loopback only."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import redis

from wattstorm.store.binary import probe, wheel_binary

# Everything a test needs to be quick and to break things; the AOF as the embedded store has it.
OPTIONS = {
    "daemonize": "no",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
    "unixsocketperm": "700",
}


def binaries() -> dict[str, Path]:
    """The server programs on this machine, by a name for test ids: "redis", "valkey"."""
    on_path = shutil.which("redis-server")
    found = {"redis": Path(on_path) if on_path else None, "valkey": wheel_binary()}
    return {name: path for name, path in found.items() if path is not None}


def has_tls(binary: Path) -> bool:
    """Whether the program was built with TLS; asked for it without a certificate, it ends."""
    with tempfile.TemporaryDirectory(prefix="ws-") as directory:
        said = subprocess.run(
            [str(binary), "--port", "0", "--tls-port", str(free_port()), "--dir", directory],
            capture_output=True,
            timeout=10,
            check=False,
        )
    # Redis says "Bad directive", Valkey "Failed finding TLS support", or else that the
    # certificate is missing.
    without = (b"Bad directive", b"Failed finding TLS support")
    return not any(words in said.stdout + said.stderr for words in without)


def free_port() -> int:
    """A port that nobody listens on, for now."""
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        return int(asking.getsockname()[1])


class TestServer:
    """One private server in `directory`, on a Unix socket and, if asked, on a TCP port.

    It is up when the constructor returns. `restart` keeps the data, the socket and the
    port. `kill` is SIGKILL, and with `appendfsync everysec` it does lose answered writes
    at times, not only a power cut does: while a sync is running the server answers but
    keeps its AOF writes back, for up to 2 s. With `appendfsync="always"` it loses none.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    def __init__(
        self,
        directory: Path,
        *,
        binary: Path | None = None,
        tcp: bool = False,
        **options: str,
    ) -> None:
        """Other `options` are the server's own, with _ for -: `maxmemory="2mb"`."""
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.binary = binary or next(iter(binaries().values()))
        self.socket = directory / "s.sock"
        self.port = free_port() if tcp else 0
        self.options = {name.replace("_", "-"): value for name, value in options.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}"

    @property
    def tcp_url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def aof_dir(self) -> Path:
        return self.directory / "appendonlydir"

    @property
    def log(self) -> str:
        return (self.directory / "server.log").read_text("utf-8", "replace")

    def start(self, timeout_s: float = 30.0) -> None:
        """Start, and wait until it has loaded its data."""
        options = {"port": str(self.port), "bind": "127.0.0.1", "unixsocket": str(self.socket)}
        options |= {"dir": str(self.directory)} | OPTIONS | self.options
        found = probe(self.binary)
        if found is not None and found.version >= (7,):
            options.setdefault("enable-debug-command", "yes")
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.binary), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout_s
        while not self.answers():
            if not self.running or time.monotonic() > deadline:
                raise RuntimeError(f"{self.binary} did not start:\n{self.log[-2000:]}")
            time.sleep(0.005)

    def answers(self) -> bool:
        """Whether it takes commands now: not while it is down, paused or loading."""
        try:
            with socket.socket(socket.AF_UNIX) as asking:
                asking.settimeout(1.0)
                asking.connect(str(self.socket))
                asking.sendall(b"PING\r\n")
                return asking.recv(64).startswith((b"+PONG", b"-NOAUTH", b"-MISCONF"))
        except OSError:
            return False

    def redis_config(self, name: str, value: str) -> None:
        """CONFIG SET on the running server (one that asks for no password)."""
        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            client.config_set(name, value)

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM: a clean stop, the AOF synced."""
        self._end(signal.SIGTERM)

    def restart(self, *, kill: bool = False) -> None:
        """Stop (or kill) and start again on the same data."""
        self._end(signal.SIGKILL if kill else signal.SIGTERM)
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay open, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, number: int) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(number)
        self._process.send_signal(signal.SIGCONT)  # a paused one would not hear SIGTERM
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    def __enter__(self) -> TestServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
