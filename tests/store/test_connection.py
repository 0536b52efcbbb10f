"""The connection: down, killed, slow and back, and nothing is ever sent twice."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.servers import TestServer
from tests.store.helpers import Connect, Start, incr
from wattstorm.errors import (
    StoreError,
    StoreFull,
    StoreTooOld,
    StoreUnreachable,
    UsageError,
    WattstormError,
)
from wattstorm.settings import Settings
from wattstorm.store.connection import open_connection
from wattstorm.store.info import parse_info

# ---------------------------------------------------------------- what works


def test_a_connection_gives_bytes_and_knows_its_store(server: TestServer, connect: Connect) -> None:
    """check() names product and version, on each server program."""
    connection = connect(server.url)
    connection.run("write", lambda: connection.redis.set("k", b"\xff\x00"))
    assert connection.run("read", lambda: connection.redis.get("k")) == b"\xff\x00"
    info = connection.check()
    assert info.name == ("Valkey" if "valkey" in server.binary.name else "Redis")
    assert info.compatible >= (6, 2)
    assert info.aof
    assert not info.replica
    assert info.warnings == ()
    assert info.product.startswith(info.name)


def test_the_stores_clock_is_ours(store_url: str, connect: Connect) -> None:
    """On one machine they agree to a second; the unit is µs."""
    assert abs(connect(store_url).server_time_us() - time.time() * 1e6) < 1e6


def test_a_store_that_could_lose_readings_is_warned_of(
    start_server: Start, connect: Connect
) -> None:
    """Eviction and a missing AOF are named with the remedy."""
    server = start_server(maxmemory="64mb", maxmemory_policy="allkeys-lru", appendonly="no")
    said = "\n".join(connect(server.url).check().warnings)
    assert "maxmemory-policy allkeys-lru" in said
    assert "noeviction" in said
    assert "set appendonly yes" in said


@pytest.mark.parametrize(("seconds", "way"), [(300, "behind"), (-300, "ahead of")])
def test_a_store_with_another_time_is_warned_of(
    store_url: str, connect: Connect, seconds: int, way: str
) -> None:
    """Its clock says when readings arrive: behind, it makes the live ones future, for good."""
    (said,) = connect(store_url).check(lambda: time.time() + seconds).warnings
    assert f"the store's clock is 300 s {way} this machine's" in said
    assert connect(store_url).check(lambda: time.time() + 30).warnings == ()


@pytest.mark.parametrize("database", ["", "?db=3"])
def test_open_connection_goes_to_the_store_that_is_set(store_url: str, database: str) -> None:
    """store.url with whatever redis-py reads in it."""
    settings = Settings.load(environ={"REDIS_URL": store_url + database})
    with open_connection(settings) as connection:
        assert incr(connection) == 1


def test_open_connection_starts_the_embedded_store(short_dir: Path) -> None:
    """Without an URL: the one in the data directory, stopped again, and kept."""
    settings = Settings.load(environ={"WATTSTORM_DATA_DIRECTORY": str(short_dir / "data")})
    for expected in (1, 2):
        with open_connection(settings) as connection:
            assert incr(connection) == expected
        with pytest.raises(StoreUnreachable):
            incr(connection)


# ---------------------------------------------------------------- down, killed, slow


def test_a_store_that_is_down_is_unreachable(tmp_path: Path, connect: Connect) -> None:
    """No socket, nobody at the port, no such host: each says what to look at."""
    with pytest.raises(StoreUnreachable, match=r"cannot count: no connection to unix:.*doctor"):
        incr(connect(f"unix://{tmp_path}/none.sock"))
    with pytest.raises(StoreUnreachable, match=r"redis://127\.0\.0\.1:1/0.*REDIS_URL"):
        incr(connect("redis://127.0.0.1:1/0"))
    with pytest.raises(StoreUnreachable, match=r"no\.such\.host\.invalid"):
        incr(connect("redis://no.such.host.invalid:6379"))


def test_a_killed_store_is_unreachable_until_it_is_back(
    server: TestServer, connect: Connect
) -> None:
    """Killed under an open connection; after its return the same connection goes on."""
    connection = connect(server.url)
    assert incr(connection) == 1
    server.kill()
    for _ in range(3):
        with pytest.raises(StoreUnreachable):
            incr(connection)
    server.start()
    assert incr(connection) == 2


def test_a_call_is_never_sent_twice_when_the_store_dies_under_it(
    start_server: Start, connect: Connect
) -> None:
    """Killed at random while counting: what was answered is there, at most one more a kill."""
    # With everysec even a SIGKILL loses answered writes: see TestServer.
    server = start_server(appendfsync="always")
    connection = connect(server.url)
    stop = threading.Event()
    answered = lost = 0

    def kill_often() -> None:
        for number in range(8):
            time.sleep(0.05 + 0.013 * number)
            server.restart(kill=True)
        stop.set()

    killer = threading.Thread(target=kill_often)
    killer.start()
    while not stop.is_set():
        try:
            incr(connection)
            answered += 1
        except StoreUnreachable:
            lost += 1
            assert connection.wait_until_up(10, stop.is_set) or stop.is_set()
    killer.join()
    found = int(connection.redis.get("n"))
    assert lost > 0
    assert answered <= found <= answered + lost


def test_waiting_ends_when_the_store_is_back(server: TestServer, connect: Connect) -> None:
    """The stream resumes by itself."""
    connection = connect(server.url)
    server.kill()
    threading.Timer(0.4, server.start).start()
    begun = time.monotonic()
    assert connection.wait_until_up(20)
    assert 0.3 < time.monotonic() - begun < 5
    assert incr(connection) == 1


def test_waiting_ends_in_time_and_when_told(tmp_path: Path, connect: Connect) -> None:
    """A bound, and a stop that is noticed at once."""
    connection = connect(f"unix://{tmp_path}/none.sock")
    begun = time.monotonic()
    assert not connection.wait_until_up(0.3)
    assert time.monotonic() - begun < 1
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    assert not connection.wait_until_up(None, stop.is_set)
    assert time.monotonic() - begun < 2


def test_a_slow_store_is_unreachable_and_its_late_answer_is_not_read(
    server: TestServer, connect: Connect
) -> None:
    """SIGSTOP: the command is carried out later, once, and its answer goes to nobody."""
    connection = connect(server.url, timeout_s=0.3)
    connection.run("write", lambda: connection.redis.set("other", b"mine"))
    server.pause()
    try:
        with pytest.raises(
            StoreUnreachable, match=r"no answer from .* in time; .*store\.timeout_s"
        ):
            incr(connection)
    finally:
        server.resume()
    assert connection.run("read", lambda: connection.redis.get("other")) == b"mine"
    assert incr(connection) == 2


def test_a_paused_store_does_not_repeat_what_it_was_sent(
    server: TestServer, connect: Connect
) -> None:
    """CLIENT PAUSE longer than the time-out: once it goes on the command counts once."""
    connection = connect(server.url, timeout_s=0.3)
    connection.run("pause", lambda: connection.redis.client_pause(1000))
    with pytest.raises(StoreUnreachable):
        incr(connection)
    assert connection.wait_until_up(10)
    assert int(connection.redis.get("n") or 0) <= 1


def test_a_store_busy_with_a_script_is_unreachable_for_now(
    start_server: Start, connect: Connect
) -> None:
    """BUSY is no refusal: it passes, so the stream must wait and not end."""
    server = start_server(lua_time_limit="100")
    connection = connect(server.url)
    endless = connect(server.url, timeout_s=0.1)
    with pytest.raises(StoreUnreachable):
        endless.run("loop", lambda: endless.redis.eval("while true do end", 0))
    time.sleep(0.3)
    with pytest.raises(StoreUnreachable, match="SCRIPT KILL"):
        incr(connection)
    connection.redis.script_kill()
    assert connection.wait_until_up(5)


def test_an_interrupted_call_leaves_no_answer_behind(server: TestServer, connect: Connect) -> None:
    """A Ctrl-C between command and answer: the next call must not get the old answer."""
    connection = connect(server.url)
    incr(connection)

    def interrupted() -> None:
        pooled = connection.redis.connection_pool.get_connection()
        pooled.send_command("CLIENT", "PAUSE", "100")
        pooled.send_command("GET", "n")
        connection.redis.connection_pool.release(pooled)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        connection.run("be interrupted", interrupted)
    assert connection.run("echo", lambda: connection.redis.echo("mine")) == b"mine"


# ---------------------------------------------------------------- what else run() meets


def test_other_errors_of_the_store_are_store_errors(store_url: str, connect: Connect) -> None:
    """A wrong type; arguments of a command are never taken for an error's code."""
    connection = connect(store_url)
    connection.redis.set("k", b"v")
    with pytest.raises(StoreError, match=r"cannot push: .*WRONGTYPE") as error:
        connection.run("push", lambda: connection.redis.lpush("k", "v"))
    assert type(error.value) is StoreError

    def pipeline() -> None:
        with connection.redis.pipeline(transaction=False) as pipe:
            pipe.lpush("k", "OOM READONLY MISCONF").execute()

    with pytest.raises(StoreError) as error:
        connection.run("push", pipeline)
    assert type(error.value) is StoreError


def test_errors_that_are_not_the_stores_pass_unchanged(store_url: str, connect: Connect) -> None:
    """Ours and Python's own."""
    connection = connect(store_url)

    def raise_it(error: BaseException) -> None:
        raise error

    for error in (UsageError("mine"), ValueError("mine"), StoreFull("mine")):
        with pytest.raises((WattstormError, ValueError)) as passed:
            connection.run("do it", lambda error=error: raise_it(error))
        assert passed.value is error


def test_threads_share_a_connection(store_url: str, connect: Connect) -> None:
    """Each call gets its own answer, also while another thread's calls fail."""
    connection = connect(store_url, timeout_s=0.5)
    wrong: list[object] = []

    def echo(name: str) -> None:
        for number in range(300):
            text = f"{name}-{number}".encode()
            if connection.run("echo", lambda text=text: connection.redis.echo(text)) != text:
                wrong.append(text)

    def time_out() -> None:
        for _ in range(3):
            with pytest.raises(StoreUnreachable):
                connection.run("wait", lambda: connection.redis.blpop(["none"], 3))

    threads = [threading.Thread(target=echo, args=(f"t{i}",)) for i in range(4)]
    threads.append(threading.Thread(target=time_out))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# ---------------------------------------------------------------- versions


INFO = "# Server\r\nredis_version:{}\r\n{}role:master\r\naof_enabled:1\r\nmaxmemory_policy:{}\r\n"


@pytest.mark.parametrize("version", ["6.0.16", "5.0.14", "6.1.242", ""])
def test_an_old_store_is_refused_with_its_version(version: str) -> None:
    """Streams, ACL and XADD's options that we use come with 6.2."""
    with pytest.raises(StoreTooOld, match=r"needs Redis 6\.2 or Valkey.*apt install"):
        parse_info(INFO.format(version, "", "noeviction"))


def test_versions_are_compared_as_numbers() -> None:
    """6.10 is after 6.2; a Valkey says which Redis it equals; candidates of releases count."""
    assert parse_info(INFO.format("6.10.0", "", "noeviction")).version == (6, 10, 0)
    assert parse_info(INFO.format("8.0-rc1", "", "noeviction")).exact_waitaof
    valkey = parse_info(INFO.format("7.2.4", "valkey_version:9.1.2\r\n", "noeviction"))
    assert (valkey.product, valkey.compatible) == ("Valkey 9.1.2", (7, 2, 4))
    assert valkey.has_waitaof
    assert not valkey.exact_waitaof
