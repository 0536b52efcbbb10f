"""Since when the store's disk holds what was written, on servers that can tell and cannot."""

from __future__ import annotations

import time

import pytest

from tests.servers import TestServer
from tests.store.helpers import Connect, Start, incr
from wattstorm.errors import StoreUnreachable
from wattstorm.store import disk as disks
from wattstorm.store.disk import Disk, SettledProbe


def until_held(disk: Disk, when: float, most_s: float) -> float:
    """Seconds that it took."""
    while not disk.holds(when):
        assert time.monotonic() - when < most_s
        time.sleep(0.05)
    return time.monotonic() - when


def test_the_disk_is_asked_and_answers_after_a_sync(server: TestServer, connect: Connect) -> None:
    """By WAITAOF or by INFO; what came before what is held is held too, what comes after not."""
    connection = connect(server.url)
    disk = Disk(connection)
    incr(connection)
    written = time.monotonic()
    assert not disk.holds(written)
    assert until_held(disk, written, 10.0) > 1.0
    assert disk.holds(written - 5)
    assert not disk.holds(time.monotonic())


def test_what_is_held_survives_a_kill(server: TestServer, connect: Connect) -> None:
    """And a probe that a restart interrupts does not say so."""
    connection = connect(server.url)
    disk = Disk(connection)
    incr(connection)
    until_held(disk, time.monotonic(), 10.0)
    incr(connection)
    assert not disk.holds(time.monotonic())
    server.restart(kill=True)
    begun = time.monotonic()
    assert not disk.holds(begun)
    assert int(connect(server.url).redis.get("n") or 0) >= 1
    until_held(disk, begun, 15.0)


def test_a_probe_by_info_speaks_of_one_run(server: TestServer, connect: Connect) -> None:
    """Between two of its questions the server may have lost the write."""
    probe = SettledProbe(connect(server.url))
    assert not probe.reached()
    server.restart(kill=True)
    with pytest.raises(StoreUnreachable):
        all(probe.reached() for _ in range(2))


def test_a_store_without_a_file_is_waited_for(
    start_server: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing to ask; and a store that never syncs of itself does not stop the trimming."""
    disk = Disk(connect(start_server(appendonly="no").url))
    now = time.monotonic()
    assert not disk.holds(now)
    assert disk.holds(now - disks.WAIT_S)
    monkeypatch.setattr(disks, "SILENT_S", 1.0)
    connection = connect(start_server(appendfsync="no").url)
    silent = Disk(connection)
    incr(connection)
    assert until_held(silent, time.monotonic(), 10.0) >= 1.0
