"""The embedded store after crashes, hangs and damage: nothing blocks the next start."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.store.helpers import (
    count,
    run_holder,
    server_pid,
    servers_in,
    wait_for,
)
from wattstorm.errors import (
    StoreUnreachable,
)
from wattstorm.store.connection import Connection
from wattstorm.store.server import EmbeddedServer


def test_a_server_whose_last_user_crashed_is_found_by_the_next(data: Path) -> None:
    """SIGKILL of the only holder: the same server goes on, and stops with the next holder."""
    other = run_holder(data, 60)
    assert other.stdout is not None
    count(other.stdout.readline().strip())
    pid = server_pid(data)
    other.kill()
    other.wait()
    assert server_pid(data) == pid
    with EmbeddedServer(data) as store:
        assert server_pid(data) == pid
        assert count(store.url) == 2
    assert not server_pid(data)


def test_a_killed_server_is_started_again_on_its_data(data: Path, binary: Path) -> None:
    """SIGKILL leaves a stale socket, a pid and a lock file; none of them is in the way."""
    store = EmbeddedServer(data, binaries=[binary])
    path = store.acquire()
    count(store.url)
    os.kill(server_pid(data), signal.SIGKILL)
    wait_for(lambda: not server_pid(data))
    assert path.exists()
    store.ensure()
    assert count(store.url) == 2
    store.ensure()
    store.release()
    with EmbeddedServer(data, binaries=[binary]) as again:
        assert count(again.url) == 3


def test_everything_killed_at_once_leaves_nothing_that_blocks(data: Path) -> None:
    """Holder and server die together, twenty times at random moments of start and use."""
    chance = random.Random(3)
    for _ in range(20):
        other = run_holder(data, 60)
        time.sleep(0.15 + chance.random() * 0.2)
        other.kill()
        other.wait()
        if chance.random() < 0.7 and (pid := server_pid(data)):
            os.kill(pid, signal.SIGKILL)
    with EmbeddedServer(data) as store:
        assert count(store.url) == 1
    assert servers_in(data) == []


DIES_AFTER_THE_START = """
import os, signal, sys
from pathlib import Path
from wattstorm.store.server import EmbeddedServer
real = EmbeddedServer._write_state
def dying(self, binary, path, pid):
    if pid:
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, binary, path, pid)
EmbeddedServer._write_state = dying
EmbeddedServer(Path(sys.argv[1])).acquire()
"""


def test_a_server_whose_pid_nobody_wrote_down_is_found_by_the_next(data: Path) -> None:
    """Its holder died the moment after it was started: two servers would ruin the one AOF."""
    with EmbeddedServer(data) as store:
        assert count(store.url) == 1  # and this one's pid stays written down
    died = subprocess.run([sys.executable, "-c", DIES_AFTER_THE_START, str(data)])
    assert died.returncode == -signal.SIGKILL
    wait_for(lambda: len(servers_in(data)) == 1)
    with EmbeddedServer(data) as store:
        assert count(store.url) == 2
        assert len(servers_in(data)) == 1
    assert servers_in(data) == []


def test_a_server_that_hangs_is_not_started_a_second_time(data: Path) -> None:
    """Two servers on one AOF would ruin it: a paused one ends in an error with its pid."""
    with EmbeddedServer(data) as store:
        count(store.url)
        pid = server_pid(data)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnreachable, match=f"process {pid}.*does not answer"):
                EmbeddedServer(data, silent_timeout_s=1.5).acquire()
            assert len(servers_in(data)) == 1
        finally:
            os.kill(pid, signal.SIGCONT)
        assert count(store.url) == 2


def test_a_store_that_loads_is_waited_for_within_a_bound(data: Path, binary: Path) -> None:
    """LOADING is no failure until the bound; a later command finds it loaded."""
    with EmbeddedServer(data, binaries=[binary]) as store, Connection(store.url) as connection:
        pipe = connection.redis.pipeline(transaction=False)
        for i in range(6000):
            pipe.set(f"k{i}", b"v")
        pipe.execute()
    slow = EmbeddedServer(data, binaries=[slowly(binary, data.parent)], ready_timeout_s=1.0)
    with pytest.raises(StoreUnreachable, match="is still loading its data"):
        slow.acquire()
    with EmbeddedServer(data, binaries=[binary]) as store, Connection(store.url) as connection:
        assert connection.redis.dbsize() == 6000


def slowly(binary: Path, where: Path) -> Path:
    """The same program, slow to load: half a millisecond for each command in the AOF."""
    path = where / "slow-server"
    path.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && exec {binary} --version\n'
        f'exec {binary} "$@" --key-load-delay 500\n'
    )
    path.chmod(0o755)
    return path


def test_a_damaged_file_ends_in_an_error_with_the_log(data: Path, binary: Path) -> None:
    """A cut tail is taken; rubbish in the middle is refused, with the server's own words."""
    with EmbeddedServer(data, binaries=[binary]) as store:
        for _ in range(50):
            count(store.url)
    part = next((data / "store" / "appendonlydir").glob("*.incr.aof"))
    whole = part.read_bytes()
    part.write_bytes(whole[:-7])
    with EmbeddedServer(data, binaries=[binary]) as store:
        assert count(store.url) == 50
    part.write_bytes(whole[:100] + b"rubbish" + whole[107:])
    with pytest.raises(StoreUnreachable, match=r"(?s)Bad file format.*redis-check-aof"):
        EmbeddedServer(data, binaries=[binary]).acquire()
    part.write_bytes(whole)
    with EmbeddedServer(data, binaries=[binary]) as store:
        assert count(store.url) == 51
