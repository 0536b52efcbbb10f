"""The embedded store: one Redis or Valkey in the data directory, shared by every command.

The first command that needs it starts it, all use its Unix socket, the last one
to leave stops it. What holds this together are locks of the kernel (flock), which
no crash can leave behind:

    start        held while looking, starting or stopping: one process at a time
    users        held shared by each command while it uses the store; who can take
                 it alone is the last one
    server.lock  held by the server itself, through an inherited descriptor: free
                 means that no server runs, whatever socket files lie about

`server.json` says what the running server is, and which program wrote the data.
A child process needs none of this: while its parent holds the store, `url` is enough.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from wattstorm.errors import StoreError, StoreUnreachable
from wattstorm.store.binary import ServerBinary, choose_binary
from wattstorm.store.private import private_directory, socket_path

LOG_LIMIT = 4 << 20  # bytes of server.log from which a start begins a new one
STARTING = 0
"""In place of a pid: who started the server may have died before it could write it down, so
whoever holds the lock is the server."""
STOP_TIMEOUT_S = 60.0  # a clean stop writes the rest of the AOF and syncs it

# Children of this process, kept so that they are reaped (and not complained about) when they end.
_started: list[subprocess.Popen[bytes]] = []


class EmbeddedServer:
    """The store in `data_dir`; between `acquire` and `release` it answers on `url`.

    >>> with EmbeddedServer(data_dir) as store:       # doctest: +SKIP
    ...     connection = Connection(store.url)
    """

    def __init__(
        self,
        data_dir: str | Path,
        *,
        ready_timeout_s: float = 300.0,
        silent_timeout_s: float = 20.0,
        binaries: Sequence[Path] | None = None,
    ) -> None:
        """`ready_timeout_s` bounds a start, the loading of a large AOF included;
        `silent_timeout_s` how long a server that runs may not answer at all."""
        self.directory = Path(os.path.realpath(data_dir)) / "store"
        self.ready_timeout_s = ready_timeout_s
        self.silent_timeout_s = silent_timeout_s
        self._binaries = binaries
        self._users: int | None = None
        self._owner = 0
        self._socket: Path | None = None

    def __enter__(self) -> EmbeddedServer:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    @property
    def url(self) -> str:
        if self._socket is None:
            raise StoreError("the embedded store is not held", "call acquire() first")
        return f"unix://{quote(str(self._socket))}"

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    def acquire(self) -> Path:
        """Hold the store, starting it if need be; the path of its socket."""
        if self._users is not None:
            raise StoreError("the embedded store is held already", "use one object per holder")
        private_directory(self.directory, "data.directory")
        with self._start_lock():
            users = os.open(self.directory / "users", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(users, fcntl.LOCK_SH)
                self._socket = self._running()
            except BaseException:
                # A server that is still loading is left to it: the next command finds it.
                _unlock(users)
                raise
            self._users, self._owner = users, os.getpid()
        return self._socket

    def ensure(self) -> Path:
        """Start the server again if it died while held; the supervisor of a stream calls this."""
        if self._users is None:
            raise StoreError("the embedded store is not held", "call acquire() first")
        with self._start_lock():
            self._socket = self._running()
        return self._socket

    def release(self) -> None:
        """Leave; the last one to leave stops the server, cleanly. Twice does nothing."""
        users, self._users = self._users, None
        # A forked copy of the holder shares its lock and must not give it back.
        if users is None or self._owner != os.getpid():
            return
        with self._start_lock():
            self._leave(users)

    # ------------------------------------------------------------ inside the start lock

    def _leave(self, users: int) -> None:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass  # others still use it
        else:
            self._stop()
        finally:
            _unlock(users)

    def _running(self) -> Path:
        """The socket of a server that is up and has loaded its data."""
        deadline = time.monotonic() + self.ready_timeout_s
        if self._alive():
            known = self._read_state()
            path = Path(known.get("socket") or socket_path(self.directory))
            if self._wait_ready(path, deadline):
                return path
        # None runs, or the one that was found has just ended: a stop that was slow, a crash.
        path = socket_path(self.directory)
        self._start(path)
        if self._wait_ready(path, deadline):
            return path
        raise StoreUnreachable(
            f"the embedded store in {self.directory} ended while it started:\n{self._log_tail()}",
            f"the whole log is in {self.log}; a damaged append-only file can be mended with "
            "redis-check-aof --fix",
        )

    def _start(self, path: Path) -> None:
        binary = choose_binary(self._read_state(), self._binaries)
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        # A new file each time: what is left of a killed server (a rewriting child) may still
        # hold the lock on the old one.
        lock_path = self.directory / "server.lock"
        lock_path.unlink(missing_ok=True)
        lock = os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._write_state(binary, path, STARTING)
            with self.log.open("ab") as log:
                process = subprocess.Popen(
                    [str(binary.path), *_options(self.directory, path)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.directory,
                    start_new_session=True,  # a Ctrl-C in the terminal is not for it
                    pass_fds=(lock,),
                )
        except OSError as error:
            raise StoreUnreachable(
                f"{binary.path} cannot be started: {error}", "set REDIS_URL to a running store"
            ) from error
        finally:
            os.close(lock)  # the server has its own copy
        _started.append(process)
        self._write_state(binary, path, process.pid)

    def _stop(self) -> None:
        if not self._alive():
            return
        path = Path(self._read_state().get("socket") or socket_path(self.directory))
        # NOSAVE is about the RDB file that we do not use; the AOF is flushed and synced.
        _ask(path, b"SHUTDOWN NOSAVE\r\n", timeout_s=STOP_TIMEOUT_S)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while self._alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        # If it still runs, nothing is lost: the next command finds it.

    def _alive(self) -> bool:
        """Whether a server holds its lock; one that is stopped or hangs does too."""
        _started[:] = [process for process in _started if process.poll() is None]
        try:
            lock = os.open(self.directory / "server.lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = int(self._read_state().get("pid", STARTING))
            # After a SIGKILL during a rewrite its child holds the lock a little longer.
            return pid == STARTING or _process_exists(pid)
        else:
            return False
        finally:
            os.close(lock)

    def _wait_ready(self, path: Path, deadline: float) -> bool:
        """True once it answers, False if it ended; an error if it does neither in time."""
        pause, heard = 0.002, time.monotonic()
        while True:
            answer = _ask(path, b"PING\r\n", timeout_s=1.0)
            now = time.monotonic()
            heard = now if answer else heard
            # With a default user of limited rights PING may be refused: an answer all the same.
            if answer.startswith((b"+PONG", b"-NO")):
                return True
            if not self._alive():
                return False
            if now > min(deadline, heard + self.silent_timeout_s):
                break
            time.sleep(pause)
            pause = min(2 * pause, 0.1)
        doing = "is still loading its data" if answer.startswith(b"-LOADING") else "does not answer"
        pid = self._read_state().get("pid")
        raise StoreUnreachable(
            f"the embedded store in {self.directory} (process {pid}) {doing}:\n{self._log_tail()}",
            f"wait and try again, or end it: kill {pid}",
        )

    @contextlib.contextmanager
    def _start_lock(self) -> Iterator[None]:
        descriptor = os.open(self.directory / "start", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + self.ready_timeout_s + STOP_TIMEOUT_S
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise StoreUnreachable(
                            f"another process holds {self.directory / 'start'} for too long",
                            f"see who: fuser {self.directory / 'start'}",
                        ) from None
                    time.sleep(0.005)
            yield
        finally:
            _unlock(descriptor)

    # ------------------------------------------------------------ what lies in the directory

    def _read_state(self) -> dict[str, Any]:
        try:
            state = json.loads((self.directory / "server.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def _write_state(self, binary: ServerBinary, path: Path, pid: int) -> None:
        state = {"pid": pid, "socket": str(path), **binary.as_state()}
        draft = self.directory / "server.json.new"
        draft.write_text(json.dumps(state, indent=1) + "\n", "utf-8")
        draft.replace(self.directory / "server.json")

    def _log_tail(self, lines: int = 12) -> str:
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 8192))
                text = log.read().decode("utf-8", "replace")
        except OSError as error:
            return f"    (no log: {error})"
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def _options(directory: Path, path: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(directory),
        "daemonize": "no",
        "databases": "1",
        # A power cut loses the last second. A SIGKILL too, at times: while a sync is running the
        # server answers but holds its AOF writes back. The fence and the log go back together.
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-load-truncated": "yes",
        # What is in the log is written once, and again by each rewrite that meets it there. The
        # file may grow to five times what the store holds, and is loaded whole at a start.
        "auto-aof-rewrite-percentage": "400",
        "auto-aof-rewrite-min-size": "1gb",
        "save": "",
        # Full memory must be an error that the producer hears, never a silent eviction.
        "maxmemory-policy": "noeviction",
    }
    return [part for name, value in options.items() for part in (f"--{name}", value)]


def _ask(path: Path, command: bytes, timeout_s: float) -> bytes:
    """The beginning of the answer to one inline command; empty if there is none."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(timeout_s)
            asking.connect(str(path))
            asking.sendall(command)
            return asking.recv(512)
    except OSError:
        return b""


def _unlock(descriptor: int) -> None:
    # Explicitly: a child forked meanwhile may still have the descriptor, and so the lock, open.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _process_exists(pid: int) -> bool:
    if pid <= 0:
        return True  # unknown: believe the lock
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
