"""The model of the store beside real ones: the same schedules, command by command."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.servers import TestServer, binaries
from tests.simulation import store as model
from tests.simulation.data import Data
from tests.simulation.misfortune import script_names
from tests.simulation.plan import plan
from tests.simulation.schedule import run
from tests.simulation.stage import set_up
from tests.simulation.values import Hash, Refused, Sorted, Stream

CLOCK = "simulation:clock"
Step = tuple[str, Any, int, Any]
"""("command", it, the store's clock in µs, answer) or ("state", all that is held, …)."""


@pytest.fixture(params=sorted(binaries()))
def client(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    binary = binaries()[request.param]
    with (
        TestServer(tmp_path / "r", binary=binary, appendonly="no") as server,
        redis.Redis(unix_socket_path=str(server.socket), protocol=2) as client,
    ):
        yield client


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """What the stores of all schedules that run are told, what they answer, and what they lose."""
    steps: list[Step] = []
    execute, restart = model.Store.execute, model.Store.restart

    asked: list[model.Store] = []

    def executed(self: model.Store, command: tuple[bytes, ...]) -> Any:
        if not asked or asked[0] is not self:  # the address leads to another one
            asked[:] = [self]
            steps.append(("state", _copied(self.data), 0, None))
        # The ids of dead letters are of the real store's own clock.
        apart = self.refuses or _is_replay(command)
        answer = execute(self, command)
        kind = "refused" if apart else "command"
        steps.append((kind, command, self.now_us(), answer))
        if apart:
            steps.append(("state", _copied(self.data), 0, None))
        return answer

    def restarted(self: model.Store) -> None:
        restart(self)
        steps.append(("state", _copied(self.data), 0, None))

    monkeypatch.setattr(model.Store, "execute", executed)
    monkeypatch.setattr(model.Store, "restart", restarted)
    return steps


def _is_replay(command: tuple[bytes, ...]) -> bool:
    return command[0] == b"EVALSHA" and script_names()[command[1]] == "replay_letter"


def _copied(data: Data) -> dict[bytes, Any]:
    return {key: model.copied(value) for key, value in data.keys.items()}


@pytest.mark.parametrize("seeds", [range(12), pytest.param(range(12, 120), marks=pytest.mark.slow)])
def test_a_real_store_answers_a_schedules_commands_as_the_model_does(
    client: redis.Redis, record: list[Step], seeds: range
) -> None:
    """Every command of some schedules, scripts included, in their order; and in the end all
    keys are the same. Only the clock is the model's: the scripts read it from a key."""
    logging.disable(logging.CRITICAL)
    try:
        with set_up():
            for seed in seeds:
                if plan(seed).rules.live:
                    continue  # in eight days keys expire, and only the model's clock passes
                del record[:]
                held = run(plan(seed)).held
                client.flushall()
                shas: dict[bytes, bytes] = {}
                for number, step in enumerate(record):
                    _compare(client, shas, step, f"seed {seed}, command {number}")
                assert _state(client) == {k: _plain(v) for k, v in held.items()}, f"seed {seed}"
    finally:
        logging.disable(logging.NOTSET)


def _compare(client: redis.Redis, shas: dict[bytes, bytes], step: Step, where: str) -> None:
    kind, what, clock_us, answer = step
    if kind == "refused" and what[0].upper() != b"SCRIPT":
        return  # what the model holds then follows
    if kind == "state":
        _load(client, what)
        return
    name = what[0].upper()
    if name in (b"INFO", b"TIME", b"XREAD") or isinstance(answer, Refused):
        return
    if name in (b"XRANGE", b"XREVRANGE") and what[1].endswith(b":dead"):
        return
    if name == b"SCRIPT":
        text = what[2].replace(b"redis.call('TIME')", b"redis.call('LRANGE','%s',0,-1)" % _KEY)
        shas[answer] = client.script_load(text).encode()
        return
    client.delete(CLOCK)
    client.rpush(CLOCK, *divmod(clock_us, 1_000_000))
    said = _asked(client, (what[0], shas[what[1]], *what[2:]) if name == b"EVALSHA" else what)
    if name in (b"HGETALL", b"HKEYS"):  # in the order of a hash, which is nobody's business
        width = 2 if name == b"HGETALL" else 1
        said, answer = (sorted(_rows(x, width)) for x in (said, answer))
    assert _comparable(said) == _comparable(answer), (where, what[:4])


_KEY = CLOCK.encode()


def _rows(flat: list[bytes], width: int) -> list[tuple[bytes, ...]]:
    return list(zip(*[iter(flat)] * width, strict=True))


def _asked(client: redis.Redis, command: tuple[bytes, ...]) -> Any:
    link = client.connection_pool.get_connection()
    try:
        if command[0] == b"EXEC":
            return [_one(link, tuple(each)) for each in command[1:]]
        return _one(link, command)
    finally:
        client.connection_pool.release(link)


def _one(link: Any, command: tuple[bytes, ...]) -> Any:
    link.send_command(*command)
    return link.read_response()


def _is_text(value: Any) -> bool:
    return isinstance(value, bytes)


def _comparable(value: Any) -> Any:
    """The fence's fields come in the order of a hash, which is nobody's business."""
    if isinstance(value, list):
        flat = [_comparable(v) for v in value]
        pairs = len(flat) % 2 == 0 and {b"owner", b"epoch"} & {*filter(_is_text, flat[::2])}
        return sorted(zip(flat[::2], flat[1::2], strict=True)) if pairs else flat
    return bytes(value) if isinstance(value, bytes) else value


def _load(client: redis.Redis, held: dict[bytes, Any]) -> None:
    client.flushdb()
    pipeline = client.pipeline(transaction=False)
    for key, value in held.items():
        if isinstance(value, Hash) and value:
            pipeline.hset(key, mapping=dict(value))
        elif isinstance(value, Sorted) and value:
            pipeline.zadd(key, dict(value))
        elif isinstance(value, Stream):
            for (ms, seq), fields in value.entries:
                pairs = dict(zip(fields[::2], fields[1::2], strict=True))
                pipeline.xadd(key, pairs, id=f"{ms}-{seq}")
            if not value.entries:
                pipeline.xadd(key, {"x": "x"}, id="{}-{}".format(*value.last))
                pipeline.xtrim(key, maxlen=0, approximate=False)
        elif isinstance(value, bytes):
            pipeline.set(key, value)
    pipeline.execute()


def _state(client: redis.Redis) -> dict[bytes, Any]:
    found: dict[bytes, Any] = {}
    for key in client.scan_iter():
        if key == _KEY:
            continue
        kind = client.type(key)
        if kind == b"hash":
            found[key] = client.hgetall(key)
        elif kind == b"zset":
            found[key] = dict(client.zrange(key, 0, -1, withscores=True))
        elif kind == b"stream":
            found[key] = [fields for _, fields in client.xrange(key)]
        else:
            found[key] = client.get(key)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Stream):  # ids of dead letters are of the real clock
        return [dict(_rows(fields, 2)) for _, fields in value.entries]
    return dict(value) if isinstance(value, dict) else value
