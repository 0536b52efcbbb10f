"""The one place where redis-py is set up, and where its exceptions become ours.

Everything else in this room does its calls inside `Connection.run`:

    entries = connection.run("read the log", lambda: connection.redis.xrange(key))

Nothing is ever sent twice behind the caller's back: redis-py's retries are off,
because a call whose answer was lost may have been carried out. `StoreUnreachable`
says exactly that; who gets it asks the store what is true and decides.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import redis
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from wattstorm.errors import (
    StoreReadOnly,
    StoreUnreachable,
    UsageError,
    WattstormError,
)
from wattstorm.setting_values import mask_url, split_password
from wattstorm.setting_values import store_url as check_url
from wattstorm.settings import PASSWORD_VARIABLE, Settings
from wattstorm.store.durable import DurableProbe
from wattstorm.store.faults import translated
from wattstorm.store.info import StoreInfo, parse_info
from wattstorm.store.passwords import PasswordFile
from wattstorm.store.server import EmbeddedServer

T = TypeVar("T")
CLOCKS_S = 60.0
"""Difference of two machines' clocks that is told of."""


class Connection:
    """A pool of connections to one store; safe to share between threads.

    The password is read from `password_file` if one is named, at each connect; else
    it stands in the URL, else in WATTSTORM_STORE_PASSWORD. The file comes first because
    it alone can change under a running process, and so that a worker, which gets what
    stood in the URL by the environment, decides as its supervisor does.
    `prefix` is what the keys that this class itself writes begin with.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 5.0,
        user: str | None = None,
        password: str | None = None,
        password_file: str = "",
        prefix: str = "wattstorm",
    ) -> None:
        check_url(url or "(empty)", "store.url")
        self.address = mask_url(url)
        self.timeout_s = timeout_s
        self.prefix = prefix
        self._info: StoreInfo | None = None
        password = split_password(url)[1] or password or os.environ.get(PASSWORD_VARIABLE)
        given = {"username": user, "password": password}
        try:
            self._pool = redis.ConnectionPool.from_url(
                url,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), 0),
                decode_responses=False,
                # RESP2 has all that we use, and answers that look the same in every version.
                protocol=2,
                maint_notifications_config=MaintNotificationsConfig(enabled=False),
                **{key: value for key, value in given.items() if value},
            )
            if password_file:
                options = self._pool.connection_kwargs
                options.pop("password", None)
                user = options.pop("username", None)
                options["credential_provider"] = PasswordFile(password_file, user)
            # Not connected, only built: an option that redis-py does not know fails here.
            self._pool.connection_class(**self._pool.connection_kwargs)
        except (ValueError, TypeError, redis.RedisError) as error:
            raise UsageError(
                f"store.url {self.address!r} cannot be used: {error}",
                "it must look like redis://host:6379/0, rediss://… or unix:///path/to/socket",
            ) from error
        self.redis: redis.Redis = redis.Redis(connection_pool=self._pool)

    def run(self, action: str, f: Callable[[], T]) -> T:
        """`f()`, its redis exceptions as ours; `action` completes "cannot …" in the message."""
        try:
            return f()
        except redis.RedisError as error:
            ours = translated(error, action, self.address)
            if not isinstance(error, redis.ResponseError):
                self._drop_idle()
            raise ours from error
        except WattstormError:
            raise
        except BaseException:
            # A Ctrl-C between a command and its answer: the answer must not stay in a
            # pooled connection, where the next call would take it for its own.
            self._drop_idle()
            raise

    def check(self, clock: Callable[[], float] = time.time) -> StoreInfo:
        """Ask the store who it is; StoreTooOld below the minimum. `clock`: this machine's, in s."""
        # In one word: by that name redis-py knows no parser, and hands over the text as it is.
        text = self.run(
            "ask the store for its version", lambda: self.redis.execute_command("INFO default")
        )
        info = parse_info(bytes(text).decode("utf-8", "replace"))
        ahead_s = self.server_time_us() / 1e6 - clock()
        self._info = replace(info, warnings=(*info.warnings, *_clock_warnings(ahead_s)))
        return self._info

    @property
    def info(self) -> StoreInfo:
        """The last `check`, made if there was none."""
        return self._info or self.check()

    def wait_until_up(
        self, timeout_s: float | None, should_stop: Callable[[], bool] = lambda: False
    ) -> bool:
        """Wait, with growing pauses, until the store answers and can write its disk.

        True when it does; False when `timeout_s` (None: no limit) has passed or
        `should_stop` says so. A wrong password is raised: waiting does not mend it.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        pause = 0.02
        while not should_stop():
            try:
                # A store that cannot write its AOF refuses even a PING (MISCONF).
                self.run("reach the store", self.redis.ping)
                return True
            except (StoreUnreachable, StoreReadOnly):
                if deadline is not None and time.monotonic() + pause > deadline:
                    return False
            _sleep(pause, should_stop)
            pause = min(1.6 * pause, 1.0)
        return False

    @property
    def durable_supported(self) -> bool:
        """Whether `wait_durable` can ever be True here (WAITAOF, with the AOF on)."""
        return self.info.has_waitaof and self.info.aof

    def durable_probe(self) -> DurableProbe:
        """Begin to watch for the moment when all that is written now is on disk."""
        return DurableProbe(self._pool, self.run, f"{self.prefix}:durable", self.info)

    def wait_durable(self, timeout_ms: int) -> bool:
        """Wait until all that the store held at this call is on its disk.

        False: not known to be (in time, or the store cannot tell). A Valkey, or a
        Redis before 8, needs 1.5 s at least: a task that cannot wait takes
        `durable_probe` and asks it now and then.
        """
        if not self.durable_supported:
            return False
        deadline = time.monotonic() + timeout_ms / 1000
        with contextlib.closing(self.durable_probe()) as probe:
            while not probe.reached(max(0.001, min(0.1, deadline - time.monotonic()))):
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.002)
        return True

    def server_time_us(self) -> int:
        """The store's clock, in µs since the epoch."""
        seconds, micros = self.run("read the store's clock", self.redis.time)
        return int(seconds) * 1_000_000 + int(micros)

    def close(self) -> None:
        self._pool.disconnect()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _drop_idle(self) -> None:
        # Not those in use: they belong to other threads, whose own errors end them.
        self._pool.disconnect(inuse_connections=False)


def connected(settings: Settings, url: str) -> Connection:
    """A connection to `url` as the settings say: `store.url`, or the embedded store's address."""
    store = settings.store
    # The embedded store asks for no password, and refuses who brings one.
    file = store.password_file if store.url else ""
    return Connection(url, timeout_s=store.timeout_s, password_file=file, prefix=store.prefix)


@contextlib.contextmanager
def open_connection(settings: Settings) -> Iterator[Connection]:
    """A checked connection to `store.url`, or to the embedded store, held meanwhile."""
    with contextlib.ExitStack() as stack:
        url = settings.store.url
        if not url:
            url = stack.enter_context(EmbeddedServer(settings.data.directory)).url
        connection = stack.enter_context(connected(settings, url))
        connection.check()
        yield connection


def _clock_warnings(ahead_s: float) -> Iterator[str]:
    if abs(ahead_s) <= CLOCKS_S:
        return
    way = "ahead of" if ahead_s > 0 else "behind"
    yield (
        f"the store's clock is {abs(ahead_s):,.0f} s {way} this machine's, and readings arrive by "
        "the store's: live ones may be refused as future; set both by NTP"
    )


def _sleep(seconds: float, should_stop: Callable[[], bool]) -> None:
    """Sleep, but notice within 50 ms that it should stop."""
    end = time.monotonic() + seconds
    while not should_stop() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.05))
