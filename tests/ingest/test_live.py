"""The live ways in: a directory that is followed, and a program of one's own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.ingest.test_dock import DAY, connection, in_log
from tests.register.registers import FIRST_ID, register_rows, small_register
from wattstorm import Producer
from wattstorm.errors import UsageError
from wattstorm.files.columns import Wanted
from wattstorm.files.meters import build_register
from wattstorm.ingest.follow import Done, Follower
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store.connection import Connection
from wattstorm.store.followed import Followed
from wattstorm.store.intake import Intake

__all__ = ["connection"]

START = datetime(2013, 6, 1, tzinfo=UTC)
assert (START - datetime(1970, 1, 1, tzinfo=UTC)).days == DAY


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    directory = tmp_path / "inbox"
    directory.mkdir()
    return directory


def put(inbox: Path, number: int, wh: int = 100) -> None:
    """A file of all ten meters' slot `number`, whole at once."""
    at = START + timedelta(minutes=30 * number)
    rows = [f"{FIRST_ID + m},{at:%Y-%m-%dT%H:%MZ},{(wh + m) / 1000}" for m in range(10)]
    draft = inbox / f".{number}.csv"
    draft.write_text("\n".join(["meter,time,kwh", *rows, ""]))
    draft.rename(inbox / f"{number:03}.csv")


def following(connection: Connection, register: Register, inbox: Path) -> Follower:
    settings = Settings.load(environ={}, options={"store.url": connection.address})
    wanted = Wanted(slot_minutes=30)
    return Follower(connection, settings, register.directory, inbox, wanted)


def looks(
    follower: Follower, n: int, meanwhile: Callable[[int], None] = lambda n: None
) -> list[Done]:
    """What `n` looks at the directory bring."""
    left = iter(range(2 * n))

    def stop() -> bool:
        number = next(left, None)
        if number is not None:
            meanwhile(number)
        return number is None

    return list(follower.run(stop, every_s=0.001))


def test_each_file_is_sent_once_and_what_cannot_be_read_stops_nothing(
    tmp_path: Path, connection: Connection, inbox: Path
) -> None:
    """Also by the next who follows; a file that changed is another one; drafts are left alone."""
    register = small_register(tmp_path, 10, 4)
    put(inbox, 0)
    put(inbox, 1)
    (inbox / "bad.csv").write_text("a,b\n1,2\n")
    (inbox / ".half.csv").write_text("meter,time")
    (inbox / "notes.md").write_text("x")
    done = {d.path.name: d for d in looks(following(connection, register, inbox), 4)}
    assert sorted(done) == ["000.csv", "001.csv", "bad.csv"]
    assert (done["000.csv"].sent, done["bad.csv"].sent) == (10, 0)
    assert "none of the columns meter" in done["bad.csv"].wrong
    again = following(connection, register, inbox)
    assert looks(again, 4) == []
    put(inbox, 1, wh=200)
    assert [d.path.name for d in looks(again, 4)] == ["001.csv"]
    assert Intake(connection, "wattstorm").counts() == {"received": 30}


def test_meters_that_the_register_gets_meanwhile_are_known(
    tmp_path: Path, connection: Connection, inbox: Path
) -> None:
    register = small_register(tmp_path, 6, 4)

    def extend(look: int) -> None:
        if look == 8:
            source = tmp_path / "more.csv"
            register_rows(10).write_csv(source)
            build_register([source], register.directory)
            put(inbox, 1)

    put(inbox, 0)
    done = looks(following(connection, register, inbox), 20, extend)
    assert [(d.sent, d.refused) for d in done] == [(6, 4), (10, 0)]


def _follow(address: str, register: Path, inbox: Path) -> None:
    with Connection(address) as connection:
        settings = Settings.load(environ={}, options={"store.url": address})
        follower = Follower(connection, settings, register, inbox, Wanted(slot_minutes=30))
        for _ in follower.run(lambda: False, every_s=0.01):
            pass


def test_a_follower_that_is_killed_loses_no_file_and_forgets_none(
    tmp_path: Path, connection: Connection, inbox: Path
) -> None:
    """SIGKILL at any moment: every reading is in the log, and only the file in hand twice."""
    register = small_register(tmp_path, 10, 4)
    files, kills = 40, 2
    for number in range(files):
        put(inbox, number)
    known = Followed(connection, "wattstorm")
    spawn = multiprocessing.get_context("spawn")  # polars has threads, which a fork would lose
    for life in range(kills + 1):
        process = spawn.Process(
            target=_follow, args=(connection.address, register.directory, inbox)
        )
        process.start()
        wanted = files if life == kills else (life + 1) * files // (kills + 2)
        deadline = time.monotonic() + 120
        while len(known.known()) < wanted and time.monotonic() < deadline:
            time.sleep(0.002)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    assert len(known.known()) == files
    sent = Counter(
        (4 * p + m % 4 if m < 4 else m, slot, wh)
        for p, rows in in_log(connection, register)
        for m, slot, wh in rows
    )
    assert len(sent) == 10 * files
    assert sum(sent.values()) <= 10 * (files + kills)


def test_a_program_sends_readings_of_its_own(tmp_path: Path, connection: Connection) -> None:
    """Ids as text or numbers, datetimes or seconds; what is no reading is refused and counted."""
    register = small_register(tmp_path, 10, 4)
    settings = Settings.load(environ={}, options={"store.url": connection.address})
    half = timedelta(minutes=30)
    with Producer.open(settings, register=register.directory) as producer:
        ids = [str(FIRST_ID), str(FIRST_ID + 5), "nobody", "a b"]
        producer.send(ids, [START, START + half, START, START], [7, 8, 9, 10])
        seconds = np.array([START.timestamp() + 3600], np.int64)
        producer.send(np.array([FIRST_ID + 1]), seconds, np.array([11]), version=3)
        utc = pl.Series([START.replace(tzinfo=None) + 2 * half])
        producer.send(pl.Series([FIRST_ID + 2]), utc, [12])
        for wrong in (
            lambda: producer.send([1], [START], [0.5]),
            lambda: producer.send([1, 2], [START], [1, 2]),
            lambda: producer.send([1], [START.replace(tzinfo=None)], [1]),
            lambda: producer.send([1], [START], [1], version=70_000),
        ):
            with pytest.raises(UsageError):
                wrong()
    assert dict(producer.refused) == {"unknown_meter": 1, "unreadable": 1}
    assert producer.sent().sent == 4
    found = [row for _, rows in in_log(connection, register) for row in rows]
    assert sorted(found) == [(0, 0, 7), (1, 2, 11), (2, 2, 12), (5, 1, 8)]
    (letter, _) = Intake(connection, "wattstorm").list(2)
    assert letter.raw == '["a b", "2013-06-01T00:00:00.000000Z", "10 Wh"]'
