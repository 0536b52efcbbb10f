"""The embedded store: found, started, shared, stopped by the last one, and never in the way."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import stat
import tempfile
import time
from pathlib import Path

import pytest

from tests.servers import TestServer
from tests.store.helpers import (
    count,
    run_holder,
    server_pid,
    servers_in,
    state,
)
from wattstorm.errors import (
    StoreError,
    StoreRefused,
    UsageError,
)
from wattstorm.store.connection import Connection
from wattstorm.store.server import EmbeddedServer

SPAWN = multiprocessing.get_context("spawn")


def test_what_it_holds_stays_when_the_last_one_leaves(data: Path, binary: Path) -> None:
    """Started, stopped, started again: the same data, on every server program."""
    for expected in (1, 2, 3):
        with EmbeddedServer(data, binaries=[binary]) as store:
            assert count(store.url) == expected
            assert server_pid(data)
        assert not server_pid(data)
    assert servers_in(data) == []


def test_it_is_private_and_durable_as_promised(data: Path, binary: Path) -> None:
    """0700, no port, AOF each second, no eviction."""
    with EmbeddedServer(data, binaries=[binary]) as store, Connection(store.url) as connection:
        assert stat.S_IMODE((data / "store").stat().st_mode) == 0o700
        assert connection.check().warnings == ()
        said = connection.redis.config_get("*")
        assert (said["port"], said["save"], said["appendfsync"]) == ("0", "", "everysec")


def test_two_holders_share_one_server_and_the_second_stops_it(data: Path) -> None:
    """The first to leave takes nothing from the other."""
    first, second = EmbeddedServer(data), EmbeddedServer(data)
    assert first.acquire() == second.acquire()
    first.release()
    assert count(second.url) == 1
    second.release()
    second.release()
    assert not server_pid(data)


def test_another_program_finds_the_same_store(data: Path) -> None:
    """A second command uses the server of the first, and keeps it when the first is gone."""
    with EmbeddedServer(data) as store:
        count(store.url)
        other = run_holder(data, 1.0)
        assert other.stdout is not None
        url = other.stdout.readline().strip()
        assert url == store.url
    assert server_pid(data)
    assert count(url) == 2
    assert other.wait(20) == 0
    assert not server_pid(data)


def test_a_child_process_needs_only_the_url(data: Path) -> None:
    """It neither acquires nor, by ending, releases anything; forked or spawned."""
    with EmbeddedServer(data) as store:
        pid = server_pid(data)
        child = SPAWN.Process(target=count, args=(store.url,))
        child.start()
        child.join(30)
        assert child.exitcode == 0
        forked = os.fork()
        if forked == 0:
            store.release()  # what an `atexit` or a `finally` of the parent would do
            os._exit(0)
        os.waitpid(forked, 0)
        assert server_pid(data) == pid
        assert count(store.url) == 2


def test_a_forked_child_that_lives_on_does_not_keep_the_store(data: Path) -> None:
    """It has the lock's descriptor, but the holder gives the lock back for both."""
    store = EmbeddedServer(data)
    store.acquire()
    forked = os.fork()
    if forked == 0:
        time.sleep(30)
        os._exit(0)
    try:
        store.release()
        assert not server_pid(data)
        with EmbeddedServer(data) as again:
            assert count(again.url) == 1
    finally:
        os.kill(forked, signal.SIGKILL)
        os.waitpid(forked, 0)


def _come_and_go(data: Path, seed: int, rounds: int) -> None:
    chance = random.Random(seed)
    for _ in range(rounds):
        with EmbeddedServer(data) as store:
            count(store.url)
            time.sleep(chance.random() * 0.02)
        time.sleep(chance.random() * 0.02)


def _all_at_once(data: Path, barrier: object, rounds: int) -> None:
    for _ in range(rounds):
        barrier.wait(60)  # type: ignore[attr-defined]
        with EmbeddedServer(data) as store:
            count(store.url)
            assert len(servers_in(data)) == 1


def test_eight_processes_starting_at_the_same_moment_share_one_server(data: Path) -> None:
    """Again and again from nothing: one server, no count lost."""
    rounds = 12
    barrier = SPAWN.Barrier(8)
    workers = [SPAWN.Process(target=_all_at_once, args=(data, barrier, rounds)) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 8
    assert servers_in(data) == []
    with EmbeddedServer(data) as store:
        assert count(store.url) == 8 * rounds + 1


def test_processes_that_come_and_go_at_random_lose_nothing(data: Path) -> None:
    """Leaving meets arriving: whoever comes while the last one stops it starts it again."""
    rounds = 25
    workers = [SPAWN.Process(target=_come_and_go, args=(data, seed, rounds)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 4
    with EmbeddedServer(data) as store:
        assert count(store.url) == 4 * rounds + 1


def test_a_long_path_gets_its_socket_in_a_private_temporary_directory(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket path has 108 bytes at most; a command with another TMPDIR finds it too."""
    deep = data / ("x" * 60) / ("y" * 60)
    with EmbeddedServer(deep) as store:
        path = Path(state(deep)["socket"])
        assert len(str(path)) < 100
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        monkeypatch.setattr(tempfile, "tempdir", str(data))
        with EmbeddedServer(deep) as other:
            assert other.url == store.url
        assert count(store.url) == 1
    shutil.rmtree(path.parent)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_temporary_directory_of_another_user_is_refused(data: Path) -> None:
    """Who owns the directory could put his own server behind our socket."""
    deep = data / ("x" * 60) / ("y" * 60)
    with EmbeddedServer(deep):
        directory = Path(state(deep)["socket"]).parent
    os.chown(directory, 65534, 65534)
    try:
        with pytest.raises(StoreRefused, match="belongs to user 65534"):
            EmbeddedServer(deep).acquire()
    finally:
        shutil.rmtree(directory)


def test_a_data_directory_that_cannot_be_is_a_usage_error(tmp_path: Path) -> None:
    """A file in its place: the message names the path and the setting."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file/store cannot be used.*data\.directory"):
        EmbeddedServer(tmp_path / "file").acquire()


def test_it_is_held_once_by_one_object(data: Path) -> None:
    """Mistakes in our own code are errors, not hanging locks."""
    store = EmbeddedServer(data)
    with pytest.raises(StoreError, match="not held"):
        _ = store.url
    with store, pytest.raises(StoreError, match="held already"):
        store.acquire()


def test_the_test_server_keeps_its_data_through_kill_and_restart(server: TestServer) -> None:
    """The tool of the kill tests itself."""
    assert count(server.url) == 1
    server.restart(kill=True)
    assert count(server.url) == 2
    server.restart()
    assert count(server.url) == 3
    assert server.aof_dir.is_dir()
    server.kill()
    assert not server.running
