"""The users of deploy/redis/users.acl.sample: each has the rights for its job, and no other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wattstorm
from bolts.aggregate import AggregateBolt
from tests.register.registers import FIRST_ID
from tests.servers import TestServer, binaries
from tests.stream import homes
from tests.stream.parts import append, started
from tests.stream.slotslog import entries as slots_log
from tests.stream.test_chaos import Feeding
from tests.stream.town import Town, a_stream, a_town, assert_exact, drained, wait_until
from wattstorm.engine.watch import Watch
from wattstorm.errors import StoreRefused
from wattstorm.readers.results import Results
from wattstorm.store.binary import probe
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.deadletters import DeadLetters
from wattstorm.store.intake import Intake, RefusedRow
from wattstorm.store.keys import Space, space_of
from wattstorm.store.log import Log
from wattstorm.store.producer import Producer
from wattstorm.store.results import ResultStore

SAMPLE = Path(wattstorm.__file__).parents[1] / "deploy" / "redis" / "users.acl.sample"
P0 = "{wattstorm:readings:p0}"


@pytest.fixture(params=sorted(binaries()))
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestServer]:
    """A server with the sample's users, an administrator for the test, and a foreign key."""
    users = tmp_path / "users.acl"
    binary = binaries()[request.param]
    found = probe(binary)
    text = SAMPLE.read_text()
    if found is None or found.version < (7, 2):
        text = text.replace(" +waitaof", "").replace(" +client|setinfo", "")
    users.write_text(text + "user admin on >admin ~* &* +@all\n")
    with TestServer(tmp_path / "redis", binary=binary, tcp=True, aclfile=str(users)) as server:
        yield server


def of(server: TestServer, user: str) -> Connection:
    password = user if user == "admin" else f"change-me-{user}"
    return Connection(f"redis://{user}@127.0.0.1:{server.port}/0", password=password)


def refused(connection: Connection, *command: str) -> bool:
    try:
        connection.run("try", lambda: connection.redis.execute_command(*command))
    except StoreRefused:
        return True
    return False


def test_the_engine_a_producer_and_a_reader_do_their_work(
    server: TestServer, tmp_path: Path, running: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From an empty store to published results, and nothing was refused on the way."""
    url = f"redis://engine@127.0.0.1:{server.port}/0"
    monkeypatch.setenv("WATTSTORM_STORE_PASSWORD", "change-me-engine")
    town = a_town(tmp_path, url, 300, 100, snapshot__every_s=1.0)
    stream = a_stream(1, 300, 48)
    running(town)
    with of(server, "producer") as connection:
        card = ResultStore(connection, "wattstorm")
        wait_until(card.meta, 60, "the engine to write the store's card")
        Watch(connection, town.settings, town.register).meet()
        log = Log(connection, "wattstorm")
        with Producer(log, "in-town", town.partitions, backlog_bytes=1 << 24) as producer:
            for block in Feeding(town, stream, 500, 0).blocks:
                producer.send(block)
        assert PartitionStore(connection, "wattstorm", 0).audit_producer("in-town") is not None
        row = RefusedRow("unreadable", "june.csv:7", "x")
        Intake(connection, "wattstorm").record(1, {"unreadable": 1}, [row])
    with town.connect() as connection:
        wait_until(lambda: drained(town, connection), 60, "the log to be drained")
    for user in ("reader", "auditor"):
        monkeypatch.setenv("WATTSTORM_STORE_PASSWORD", f"change-me-{user}")
        client = Town(tmp_path, url.replace("engine", user), town.register, town.options)
        with Results.open(client.settings) as results:
            assert results.national().total_wh > 0
            assert results.health().dead_letters == 1
            assert results.lag()
            assert results.conservation().holds
            assert [balance.holds for balance in results.balances()] == [True]
        with of(server, user) as connection:
            assert slots_log(connection)[-1].rows["nation"].wh > 0
    monkeypatch.setenv("WATTSTORM_STORE_PASSWORD", "change-me-curves")
    client = Town(tmp_path, url.replace("engine", "curves"), town.register, town.options)
    with Results.open(client.settings) as results:
        assert results.curves()["nation"].total_wh == results.national().total_wh > 0
    with of(server, "curves") as connection:
        assert slots_log(connection)[-1].rows["nation"].wh > 0
    with of(server, "auditor") as connection:
        assert list(DeadLetters(connection, "wattstorm").list(0)) == []
        assert [row.raw for row in Intake(connection, "wattstorm").list(5)] == ["x"]
    monkeypatch.setenv("WATTSTORM_STORE_PASSWORD", "change-me-engine")
    with town.connect() as connection:
        token = town.stores(connection)[0].acquire(connection.server_time_us()).token
        assert town.log(connection).trim(0, 1, token) == 2
    assert_exact(town, stream)
    with of(server, "admin") as admin:
        assert_spaces_are_kept(admin)
        log_of_refusals = admin.redis.execute_command("ACL", "LOG")
    assert log_of_refusals == []


READS = {"hash": "HGETALL", "string": "GET", "zset": "ZRANGEBYSCORE", "stream": "XRANGE"}
ENDS = {"hash": (), "string": (), "zset": ("-inf", "+inf"), "stream": ("-", "+")}
MAY_READ = {
    "curves": {Space.CURVES},
    "reader": {Space.CURVES, Space.WORK},
    "auditor": {Space.CURVES, Space.WORK},
    "producer": {Space.WORK},
    "scores": {Space.CURVES},
}


def assert_spaces_are_kept(admin: Connection) -> None:
    """Whatever key there is: who may read it is given what it reveals. Of the homes' the auditor
    reads the dead letters alone; all curves are for whoever reads curves."""
    redis, seen = admin.redis, Counter[Space]()
    for key in redis.keys("*wattstorm:*"):
        kind, space = redis.type(key).decode(), space_of("wattstorm", key.decode())
        seen[space] += 1
        for user, may in MAY_READ.items():
            command = (READS[kind], key, *ENDS[kind])
            read = redis.execute_command("ACL", "DRYRUN", user, *command) == b"OK"
            aside = user == "auditor" and key.endswith((b":sums:dead", b":ingest:dead"))
            given = {*may, Space.HOMES} if aside else may
            if user == "producer" and key == b"wattstorm:meta":
                given = {Space.CURVES}  # it names the grid that blocks must have
            assert not read or space in given, f"{user} reads {key!r}, which reveals {space}"
            if Space.CURVES in may and space is Space.CURVES:
                assert read, f"{user} cannot read {key!r}"
    assert len(seen) == len(Space), seen


def test_what_is_named_of_single_homes_is_for_one_user(
    server: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scopes, alarms and one meter: a reader without the right gets none of them, and neither
    does one who has the machine's files but not the right."""
    monkeypatch.setenv("WATTSTORM_STORE_PASSWORD", "change-me-engine")
    url = f"redis://engine@127.0.0.1:{server.port}/0"
    town = a_town(tmp_path, url, homes.HOMES, homes.HOMES, **SCORED)
    data = homes.in_order(homes.days_of_homes())
    with town.connect() as connection:
        Watch(connection, town.settings, town.register).introduce()
        append(town, 0, data)
        bolt = started(AggregateBolt, town)
        for last in range(1, len(data) + 1, 5):
            assert bolt.give(0, last, min(last + 4, len(data)), 1) == "ack"
        scores = homes.consumer(town, connection)
        assert scores.follow(0)
        scores.stop()
    meter = FIRST_ID + homes.DEAD
    asked: list[Callable[[Results], Any]] = [
        lambda results: results.scores(),
        lambda results: results.score_alarms(),
        lambda results: results.meter(meter),
    ]
    for user in ("scores", "curves", "reader", "auditor"):
        monkeypatch.setenv("WATTSTORM_STORE_PASSWORD", f"change-me-{user}")
        client = Town(tmp_path, url.replace("engine", user), town.register, town.options)
        with Results.open(client.settings) as results:
            for ask in asked:
                if user == "scores":
                    assert ask(results)
                else:
                    with pytest.raises(StoreRefused):
                        ask(results)
    with of(server, "admin") as admin:
        for key in admin.redis.keys("*wattstorm:*"):
            named = b":scores:scopes" in key or b":alarms:p0}:log" in key
            assert not named or space_of("wattstorm", key.decode()) is Space.HOMES
            read = admin.redis.execute_command("ACL", "DRYRUN", "scores", "XRANGE", key, "-", "+")
            assert read != b"OK" or b":readings:" not in key


SCORED: dict[str, Any] = {
    "scores__enabled": True,
    "scores__alarm_p": 0.01,
    "stream__time_zone": "UTC",
    "stream__open_days": 2,
}


def test_each_user_is_refused_outside_of_its_job(server: TestServer) -> None:
    """Keys of others, commands of others, and of the administrator."""
    with of(server, "admin") as admin:
        admin.redis.set("other:x", "1")
        admin.redis.hset(f"{P0}:sums:fence", "position", "0")
    forbidden = {
        "engine": [("SET", "other:x", "2"), ("GET", "other:x"), ("FLUSHALL",), ("KEYS", "*")],
        "producer": [
            ("HSET", f"{P0}:sums:fence", "position", "9"),
            ("HDEL", f"{P0}:sums:fence", "owner"),
            ("SET", f"{P0}:sums:partials", "x"),
            ("DEL", f"{P0}:log"),
            ("XTRIM", f"{P0}:log", "MAXLEN", "0"),
            ("HSET", "{wattstorm:day:1}:curve:0:nation", "1", "{}"),
            ("HSET", f"{P0}:sums:audit:producer:a", "received", "1"),
            ("FLUSHALL",),
            ("EVALSHA", "0" * 40, "1", f"{P0}:sums:fence"),
            ("XRANGE", f"{P0}:log", "-", "+"),
            ("XRANGE", "wattstorm:ingest:dead", "-", "+"),
            ("XRANGE", f"{P0}:sums:dead", "-", "+"),
            # What an append needs, on the keys that it does not need it on.
            ("SET", f"{P0}:log", "x"),
            ("SET", f"{P0}:head", "x"),
            ("EXPIRE", f"{P0}:log", "0"),
            ("EXPIRE", f"{P0}:head", "0"),
            ("EXPIRE", "wattstorm:meta", "0"),
            ("SET", f"{P0}:producer:other", "999 9999999999999999-z"),
            ("EXPIRE", f"{P0}:producer:other", "0"),
            ("SET", "wattstorm:meta", "x"),
            ("HSET", "wattstorm:meta", "slot_minutes", "7"),
            ("SET", "wattstorm:engine:LoadCurves", "{}"),
            ("XADD", f"{P0}:sums:dead", "*", "b", "x"),
            ("XADD", f"{P0}:head", "*", "b", "x"),
        ],
        "reader": [
            ("HSET", f"{P0}:sums:fence", "position", "9"),
            ("SET", "wattstorm:x", "1"),
            ("EVAL", "return 1", "0"),
            ("DEL", f"{P0}:log"),
            ("GET", "other:x"),
            ("FLUSHALL",),
            # Readings of single homes: what was sent, and what was refused.
            ("XRANGE", f"{P0}:log", "-", "+"),
            ("XREVRANGE", f"{P0}:log", "+", "-"),
            ("XRANGE", f"{P0}:sums:dead", "-", "+"),
            ("XRANGE", "wattstorm:ingest:dead", "-", "+"),
            ("HGETALL", f"{P0}:sums:partials"),
            ("HGETALL", "{wattstorm:day:1}:closed"),
        ],
        "curves": [
            ("HSET", "{wattstorm:day:1}:curve:0:nation", "1", "[]"),
            ("HGETALL", f"{P0}:sums:fence"),
            ("HGETALL", f"{P0}:sums:partials"),
            ("HGETALL", "{wattstorm:day:1}:closed"),
            ("XRANGE", f"{P0}:log", "-", "+"),
            ("XADD", "{wattstorm:slots:p0}:log", "*", "b", "x"),
            ("EVAL", "return 1", "0"),
            ("FLUSHALL",),
        ],
        "auditor": [
            ("HGETALL", "{wattstorm:day:1}:closed"),
            ("HSET", f"{P0}:sums:fence", "position", "9"),
            ("XRANGE", f"{P0}:log", "-", "+"),
            ("XADD", f"{P0}:sums:dead", "*", "b", "x"),
            ("EVAL", "return 1", "0"),
            ("FLUSHALL",),
        ],
    }
    for user, commands in forbidden.items():
        with of(server, user) as connection:
            passed = [c for c in commands if not refused(connection, *c)]
        assert passed == [], user
    with Connection(f"redis://127.0.0.1:{server.port}/0") as nobody:
        assert refused(nobody, "PING")


def test_what_a_producer_is_trusted_for_is_what_the_page_says(server: TestServer) -> None:
    """A script runs with its caller's rights, so what an append writes can be written otherwise.
    If a server ever refuses one of these, deploy/redis/README.md can promise more."""
    with of(server, "producer") as connection:
        log, head = f"{P0}:log", f"{P0}:head"
        assert not refused(connection, "XADD", log, "1-0", "b", "x", "t", "1", "a", "1")
        assert not refused(
            connection, "XADD", log, "MAXLEN", "1", "2-0", "b", "x", "t", "1", "a", "2"
        )
        assert not refused(connection, "HSET", head, "committed", str(10**15))
    page = (SAMPLE.parent / "README.md").read_text()
    assert "XADD … MAXLEN" in page
    assert "HSET head" in page


def test_the_sample_grants_no_category(server: TestServer) -> None:
    """Command by command, so that a newer server's commands are not granted with it."""
    assert not re.search(r"\+@|allcommands|allkeys|nopass", SAMPLE.read_text())
