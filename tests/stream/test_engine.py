"""The local engine: workers that end, hang and are replaced; one engine a store; clean stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.register.registers import small_register
from tests.servers import TestServer
from tests.stream.town import (
    Town,
    a_stream,
    a_town,
    assert_exact,
    audit,
    committed_sums,
    drained,
    in_blocks,
    truth,
    wait_until,
)
from topologies.load_curves import LoadCurves
from wattstorm.engine.components import components, joined
from wattstorm.engine.lease import LIFETIME_S, Lease
from wattstorm.engine.supervisor import Engine
from wattstorm.engine.watch import Watch
from wattstorm.errors import EngineError, RegisterError, UsageError
from wattstorm.store.connection import Connection
from wattstorm.store.producer import Producer
from wattstorm.store.results import ResultStore
from wattstorm.store.store import Store
from wattstorm.store.workers import heartbeats, write_beat

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with TestServer(tmp_path / "r") as server:
        yield a_town(tmp_path, server.url, 100, 25)


def feed(town: Town, stream: Any) -> None:
    with town.connect() as connection:
        producer = Producer(town.log(connection), "town", town.partitions, backlog_bytes=64 << 20)
        for block in in_blocks(stream, 25, 200):
            producer.send(block)
        producer.flush()


def beats(town: Town, component: str = "") -> list[dict[str, Any]]:
    """Of the tasks that run; the engine has one too."""
    with town.connect() as connection:
        rows = heartbeats(connection, "wattstorm", "LoadCurves")
    running = [row for row in rows if row["alive"] and row["component"] != "engine"]
    return [row for row in running if row["component"].startswith(component)]


def all_running(town: Town) -> bool:
    """Every task of the topology, two of them for the sums, and two that read for these."""
    table = joined(components(LoadCurves.specs, len(town.partitions), holders=2))
    return len(beats(town)) == sum(component.tasks for component in table)


def pids(town: Town, component: str = "") -> list[int]:
    return [row["pid"] for row in beats(town, component)]


def a_lease(connection: Connection, topology: str = "test") -> Lease:
    return Lease(Store(connection, "wattstorm").lease(topology), topology)


def in_thread(run: Callable[[], None]) -> tuple[threading.Thread, list[BaseException]]:
    errors: list[BaseException] = []

    def call() -> None:
        try:
            run()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    return thread, errors


def test_a_drained_stream_ends_by_itself_and_exact(town: Town) -> None:
    """Two workers, all partitions, every sum; and nothing to replay for the next one."""
    stream = a_stream(1, 100, 96)
    feed(town, stream)
    Engine(town.settings, town.url, workers=2).run(drain=True)
    with town.connect() as connection:
        assert drained(town, connection)
        assert committed_sums(town, connection) == truth(stream)
        received = audit(town, connection)["received"]
        assert received == len(stream)
        assert heartbeats(connection, "wattstorm") == []
        tails = town.log(connection).tails(town.partitions)
    for partition, tail in enumerate(tails):
        names = (town.directory / "state/readings/sums" / f"p{partition}").rglob("*.snap")
        assert max(int(file.name.partition(".")[0]) for file in names) == tail
    Engine(town.settings, town.url, workers=1).run(drain=True)
    with town.connect() as connection:
        assert audit(town, connection)["received"] == received


@pytest.mark.parametrize("component", ["aggregate", "publish"])
def test_a_killed_task_is_replaced_and_changes_nothing(
    town: Town, running: Callable[..., Any], component: str
) -> None:
    """SIGKILL of one of each process while batches are under way; the others live on."""
    stream = a_stream(2, 100, 96)
    engine = running(town)
    wait_until(lambda: all_running(town), 60, "all tasks")
    first = pids(town)
    killed = pids(town, component)[0]
    feed(town, stream)
    os.kill(killed, signal.SIGKILL)
    with town.connect() as connection:
        wait_until(lambda: drained(town, connection), 60, "the log to be drained")
        assert committed_sums(town, connection) == truth(stream)
        assert audit(town, connection)["received"] == len(stream)
    wait_until(lambda: all_running(town) and killed not in pids(town), 30, "a new task")
    assert set(first) - set(pids(town)) == {killed}
    assert engine.poll() is None


def test_sums_do_not_wait_for_a_publisher_that_stands_still(
    town: Town, running: Callable[..., Any]
) -> None:
    """SIGSTOP of the publisher: all is committed, nothing is planned twice; then it publishes."""
    stream = a_stream(7, 100, 96)
    running(town)
    wait_until(lambda: all_running(town), 60, "all tasks")
    (publisher,) = pids(town, "publish")
    os.kill(publisher, signal.SIGSTOP)
    feed(town, stream)
    with town.connect() as connection:
        tails = town.log(connection).tails(town.partitions)
        stores = town.stores(connection)
        wait_until(lambda: [s.fence().position for s in stores] == tails, 20, "all commits")
        assert not drained(town, connection)
        os.kill(publisher, signal.SIGCONT)
        wait_until(lambda: drained(town, connection), 20, "the results")
    assert_exact(town, stream)


def test_a_silent_worker_is_replaced(town: Town) -> None:
    """Stopped in its tracks: its heartbeat grows old."""
    stop = threading.Event()
    engine = Engine(town.settings, town.url, workers=2, stuck_s=3.0)
    thread, errors = in_thread(lambda: engine.run(should_stop=stop.is_set))
    wait_until(lambda: all_running(town), 60, "all tasks")
    first = pids(town)
    os.kill(first[1], signal.SIGSTOP)
    wait_until(lambda: all_running(town) and first[1] not in pids(town), 30, "a new task")
    assert first[0] in pids(town)
    stop.set()
    thread.join(30)
    assert not errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_ends_everything_cleanly(
    town: Town, running: Callable[..., Any], number: signal.Signals
) -> None:
    """Exit code 0, no process left, no lease left, the state saved."""
    feed(town, a_stream(3, 100, 48))
    engine = running(town)
    with town.connect() as connection:
        wait_until(lambda: drained(town, connection), 60, "the log to be drained")
        wait_until(lambda: all_running(town), 60, "all tasks")
        children = pids(town)
        os.kill(engine.pid, number)
        assert engine.wait(30) == 0
        assert not any(map(psutil.pid_exists, children))
        assert not connection.redis.exists("wattstorm:engine:LoadCurves")
    assert len(list((town.directory / "state").rglob("*.snap"))) >= 4


def test_workers_die_with_their_supervisor(town: Town, running: Callable[..., Any]) -> None:
    """SIGKILL of the supervisor leaves nobody behind, and the next engine starts at once."""
    engine = running(town)
    wait_until(lambda: all_running(town), 60, "all tasks")
    children = pids(town)
    os.kill(engine.pid, signal.SIGKILL)
    engine.wait(10)
    wait_until(lambda: not any(map(psutil.pid_exists, children)), 5, "the workers' end")
    Engine(town.settings, town.url, workers=1).run(drain=True)


def test_a_second_engine_is_refused_and_told_who_runs(
    town: Town, running: Callable[..., Any]
) -> None:
    """Unless it takes over: then the first one ends, saying who took the store."""
    engine = running(town)
    wait_until(lambda: all_running(town), 60, "all tasks")
    with pytest.raises(EngineError, match=f"pid {engine.pid} on "):
        Engine(town.settings, town.url, workers=1).run(drain=True)
    assert engine.poll() is None
    stop = threading.Event()
    thread, errors = in_thread(
        lambda: Engine(town.settings, town.url, workers=1).run(
            take_over=True, should_stop=stop.is_set
        )
    )
    assert engine.wait(30) == 1
    stop.set()
    thread.join(30)
    assert not errors


def test_a_lease_of_another_machine_ends_by_itself_only(town: Town) -> None:
    """Nobody here can see whether that process lives; one of this machine is looked for."""
    with town.connect() as connection:
        far, near = (a_lease(connection) for _ in range(2))
        far._card |= {"machine": "elsewhere", "pid": 1}
        far.take()
        with pytest.raises(EngineError, match="pid 1"):
            near.take()
        far.release()
        gone = subprocess.Popen(["true"])
        gone.wait()
        dead = a_lease(connection)
        dead._card |= {"pid": gone.pid, "started": "17"}
        dead.take()
        near.take()
        with pytest.raises(EngineError, match="took this store over"):
            dead.renew()
        connection.redis.delete("wattstorm:engine:test")  # as when the store went back
        near.renew()
        near.release()


def test_each_topology_on_a_store_has_its_own_lease_and_heartbeats(
    town: Town, running: Callable[..., Any]
) -> None:
    """A second one starts beside the first, and ends without taking anything of it along."""
    stop = threading.Event()
    second = Engine(town.settings, town.url, topology="tests.stream.quiet:Quiet")
    running(town)
    wait_until(lambda: all_running(town), 60, "all tasks")
    thread, errors = in_thread(lambda: second.run(should_stop=stop.is_set))

    def workers(topology: str) -> list[str]:
        with town.connect() as connection:
            return [row["worker"] for row in heartbeats(connection, "wattstorm", topology)]

    wait_until(lambda: workers("Quiet") == ["engine"], 30, "the second engine")
    with town.connect() as connection:
        for name in ("LoadCurves", "Quiet"):
            with pytest.raises(EngineError, match=f"{name}, since"):
                a_lease(connection, name).take()
    stop.set()
    thread.join(30)
    assert not errors
    assert workers("Quiet") == []
    assert sorted(workers("LoadCurves")) == [
        "aggregate-0",
        "aggregate-1",
        "engine",
        "forecast-0",
        "publish-0",
        "readings-0",
        "readings-1",
    ]


def test_a_task_tells_what_it_measured_with_its_heartbeat(
    town: Town, running: Callable[..., Any]
) -> None:
    """Counters, latencies, levels; the blocks of all tasks that sum are those that were sent."""
    stream = a_stream(8, 100, 96)
    running(town)
    feed(town, stream)

    sent = len(list(in_blocks(stream, 25, 200)))

    def summed() -> int:
        return sum(row["instruments"]["counters"].get("blocks", 0) for row in beats(town, "agg"))

    wait_until(lambda: summed() == sent, 60, "the heartbeats of all that was summed")
    of = {row["component"]: row["instruments"] for row in beats(town)}
    assert of["aggregate"]["ms"]["commit"]["n"] > 0
    assert of["aggregate"]["ms"]["commit"]["p99"] >= of["aggregate"]["ms"]["commit"]["p50"] > 0

    def planned() -> int:
        """A source beats by itself, though it is in the process of who sums."""
        counters = [row["instruments"]["counters"] for row in beats(town, "readings")]
        return sum(counter.get("batches", 0) for counter in counters)

    wait_until(planned, 10, "the heartbeat of a source that planned batches")
    wait_until(
        lambda: sum(row["instruments"]["levels"]["partitions"] for row in beats(town, "agg")) == 4,
        10,
        "who holds what",
    )
    assert {"cpu_s", "memory_mb", "written_mb"} <= of["publish"]["levels"].keys()
    assert all(row["restarts"] == 0 for row in beats(town))


def test_a_store_clock_set_back_does_not_prolong_a_lease_or_a_heartbeat(town: Town) -> None:
    """An hour is what they would have left; ten seconds is what a lease gets, nothing a beat."""
    with town.connect() as connection:
        far, near = (a_lease(connection) for _ in range(2))
        far._card |= {"machine": "elsewhere", "pid": 1}
        far.take()
        connection.redis.pexpire("wattstorm:engine:test", 3_600_000)
        with pytest.raises(EngineError, match="pid 1"):
            near.take()
        assert connection.redis.pttl("wattstorm:engine:test") <= LIFETIME_S * 1000
        for name in ("a-0", "a-1"):
            write_beat(connection, "wattstorm", "test", name, {}, 5.0)
        ahead = json.loads(connection.redis.hget("wattstorm:workers", "test/a-1"))
        ahead = {name: value + 3_600_000 for name, value in ahead.items()}
        connection.redis.hset("wattstorm:workers", "test/a-1", json.dumps(ahead))
        assert [row["alive"] for row in heartbeats(connection, "wattstorm")] == [True, False]


def test_a_worker_that_cannot_start_ends_the_engine_with_its_reason(town: Town) -> None:
    """After a few attempts; the message is the worker's own."""
    with pytest.raises(EngineError, match="ValueError: no wind today"):
        Engine(town.settings, town.url, topology="tests.stream.calm:Calm", workers=1).run()


def test_what_cannot_work_is_said_before_a_worker_starts(town: Town, tmp_path: Path) -> None:
    """A topology or register that is not there, a store made for other settings."""
    with pytest.raises(EngineError, match=r"topologies\.none"):
        Engine(town.settings, town.url, topology="topologies.none:X").run()
    other = town.settings.replaced({"data.directory": tmp_path / "empty"}, "test")
    with pytest.raises(RegisterError):
        Engine(other, town.url).run()
    Engine(town.settings, town.url, workers=1).run(drain=True)
    finer = town.settings.replaced({"stream.slot_minutes": 15}, "test")
    with pytest.raises(UsageError, match="slot_minutes 30"):
        Engine(finer, town.url).run(drain=True)


def test_a_store_that_evicts_is_not_run_on_unless_it_is_meant(tmp_path: Path) -> None:
    """It would drop the log, or producers' numbers, in silence; value, limit, remedy."""
    with TestServer(tmp_path / "r", maxmemory="64mb", maxmemory_policy="volatile-lru") as server:
        town = a_town(tmp_path, server.url, 100, 25)
        message = r"drops keys at 67,108,864 bytes .*volatile-lru.*store\.on_eviction"
        with pytest.raises(UsageError, match=message):
            Engine(town.settings, town.url, workers=1).run(drain=True)
        with town.connect() as connection, pytest.raises(UsageError, match="noeviction"):
            Watch(connection, town.settings, town.register).meet()
        town.options["store.on_eviction"] = "warn"
        with town.connect() as connection:
            Watch(connection, town.settings, town.register).introduce()


def test_a_producer_with_an_old_register_leaves_the_stores_card_as_it_is(
    town: Town, tmp_path: Path
) -> None:
    """Readers count partitions by it; another slot length or partition size is refused as ever."""
    (tmp_path / "old").mkdir()
    old = small_register(tmp_path / "old", 60, 25)
    with town.connect() as connection:
        watch = Watch(connection, town.settings, old)
        watch.meet()
        assert watch.card.items() <= watch.results.meta().items(), "an empty store is given one"
        Watch(connection, town.settings, town.register).introduce()
        watch.meet()
        assert watch.results.meta()["partitions"] == "4"
        town.options["stream.slot_minutes"] = 15
        with pytest.raises(UsageError, match="slot_minutes 30, this engine has 15"):
            Watch(connection, town.settings, old).meet()


def test_the_store_may_go_and_come_back(tmp_path: Path) -> None:
    """Workers and supervisor wait for it; the stream goes on by itself."""
    with TestServer(tmp_path / "r") as server:
        town = a_town(tmp_path, server.url, 100, 25)
        stream = a_stream(4, 100, 96)
        stop = threading.Event()
        engine = Engine(town.settings, town.url, workers=2)
        thread, errors = in_thread(lambda: engine.run(should_stop=stop.is_set))
        wait_until(lambda: all_running(town), 60, "all tasks")
        first = pids(town)
        server.kill()
        time.sleep(2.5)
        server.start()
        feed(town, stream)
        with town.connect() as connection:
            wait_until(lambda: drained(town, connection), 60, "the log to be drained")
            assert committed_sums(town, connection) == truth(stream)
        wait_until(lambda: all_running(town), 10, "heartbeats")
        assert pids(town) == first, "no worker died of it"
        stop.set()
        thread.join(30)
        assert not errors


def test_an_emptied_store_is_taken_up_anew(town: Town, running: Callable[..., Any]) -> None:
    """FLUSHALL under the engine: the card is written again, and the next stream is exact."""
    running(town)
    feed(town, a_stream(5, 100, 48))
    with town.connect() as connection:
        wait_until(lambda: drained(town, connection), 60, "the log to be drained")
        connection.redis.flushall()
        card = ResultStore(connection, "wattstorm")
        wait_until(lambda: bool(card.meta()), 10, "the store's card")
    stream = a_stream(6, 100, 96)
    feed(town, stream)
    with town.connect() as connection:
        wait_until(lambda: drained(town, connection), 60, "the log to be drained")
    assert_exact(town, stream)
