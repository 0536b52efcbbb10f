"""A town into a real log: the same blocks whoever sends them, once, at the pace asked for."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from generator.feed.producers import Sending, check, name_of, send
from generator.feed.publish import SHAPES, Job
from generator.town.outputs import days_from
from generator.town.town import Town
from tests.generator.towns import (
    MANY,
    ONE_OF_ALL,
    a_stream,
    assert_true,
    entries,
    sending,
    settings_with,
)
from tests.servers import TestServer
from tests.stream.town import Town as Stream
from tests.stream.town import assert_conserved, audit
from wattstorm.engine.supervisor import Engine
from wattstorm.errors import LogFull, UsageError
from wattstorm.metering.block import decode

pytestmark = pytest.mark.timeout(240)
TOWN = Town(seed=5)
JOB = Job(TOWN, tuple(ONE_OF_ALL), MANY, block=400)


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[Stream]:
    with TestServer(tmp_path / "r") as server:
        yield a_stream(tmp_path, server.url, TOWN, 300, 80)


def test_several_producers_and_interruptions_leave_the_log_of_one(
    stream: Stream, tmp_path: Path
) -> None:
    sent = send(JOB, sending(stream))
    whole = entries(stream)
    assert sent == sum(decode(data).wh.size for part in whole for data in part)
    with TestServer(tmp_path / "other") as server:
        other = replace(stream, url=server.url)
        told = 0

        def done(readings: int) -> None:
            nonlocal told
            told += readings

        parts = [send(JOB, sending(other), done=done, should_stop=lambda: told > 20_000)]
        assert 20_000 < parts[0] < sent / 2
        parts.append(send(JOB, sending(other), should_stop=lambda: told > 50_000, done=done))
        parts.append(send(JOB, sending(other, producers=3)))
        assert sum(parts) == sent
        assert send(JOB, sending(other, producers=2)) == 0
        # The same readings in the same blocks, under the same numbers.
        assert entries(other) == whole


def test_the_name_says_what_is_sent(stream: Stream) -> None:
    names = {
        name_of(job, stream.register)
        for job in (
            JOB,
            replace(JOB, shape="nightly"),
            replace(JOB, block=401),
            replace(JOB, town=replace(TOWN, seed=6)),
            replace(JOB, days=JOB.days[:-1]),
            replace(JOB, faults=replace(MANY, gap=0.011)),
        )
    }
    assert len(names) == 6
    assert name_of(replace(JOB, rate=5, speed=9, ledger=Path("x")), stream.register) in names


def test_a_full_log_makes_it_wait_and_loses_nothing(stream: Stream) -> None:
    job = replace(JOB, days=JOB.days[:2])
    tight = settings_with(stream, **{"log.backlog_mb": 1, "log.full_timeout_s": 0.3})
    many = replace(job, days=tuple(days_from(date(2025, 1, 1), date(2025, 1, 20))), block=50_000)
    where = Sending(tight, stream.url, stream.directory / "register")
    with pytest.raises(LogFull, match="uncommitted"):
        send(many, where)
    held = sum(len(data) for part in entries(stream) for data in part)
    assert held < 4 << 20
    Engine(tight, stream.url, workers=1).run(drain=True)


def test_the_rate_is_kept(stream: Stream) -> None:
    job = replace(JOB, days=JOB.days[:1], faults=type(MANY)(), rate=20_000)
    begun = time.monotonic()
    sent = send(job, sending(stream))
    assert sent == 300 * 48
    assert 0.6 < time.monotonic() - begun < 10


def test_real_time_is_kept_at_the_speed_asked_for(stream: Stream) -> None:
    job = replace(JOB, days=JOB.days[:1], faults=type(MANY)(), speed=86_400)
    begun = time.monotonic()
    send(job, sending(stream))
    assert 0.9 < time.monotonic() - begun < 10


def test_a_slot_is_not_sent_before_it_is_over(stream: Stream) -> None:
    """The day before is sent too: just after midnight today has no slot that is over."""
    today = datetime.now(UTC).date()
    days = (today - timedelta(1), today, today + timedelta(1))
    job = replace(JOB, town=replace(TOWN, time_zone="UTC"), faults=type(MANY)(), days=days)
    begun, over = time.monotonic(), int(time.time()) // 1800 - 1
    send(job, sending(stream), should_stop=lambda: time.monotonic() - begun > 4)
    newest = max(int(decode(part[-1]).slot[0]) for part in entries(stream) if part)
    assert over <= newest <= int(time.time()) // 1800 - 1


def test_what_cannot_go_well_is_refused(stream: Stream) -> None:
    with pytest.raises(UsageError, match="5 producers for 4 partitions"):
        send(JOB, sending(stream, producers=5))
    hourly = settings_with(stream, **{"stream.slot_minutes": 60})
    with pytest.raises(UsageError, match="slots of 30 minutes"):
        send(JOB, Sending(hourly, stream.url, stream.directory / "register"))
    with pytest.raises(UsageError, match="--shape nightly"):
        check(JOB, sending(stream), stream.register, free=40_000)
    check(replace(JOB, shape="nightly"), sending(stream), stream.register, free=40_000)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_the_engine_counts_and_sums_what_the_ledger_foretells(
    stream: Stream, tmp_path: Path, shape: str
) -> None:
    job = replace(JOB, shape=shape, ledger=tmp_path / "ledger")
    send(job, sending(stream, producers=2))
    Engine(stream.settings, stream.url, workers=2).run(drain=True)
    with stream.connect() as connection:
        counts = audit(stream, connection)
    assert_conserved(counts)
    assert_true(stream, job, counts)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "ledger").iterdir()}
    assert modes == {0o600}
    assert {"too_old", "too_high", "corrected", "double"} <= counts.keys()
