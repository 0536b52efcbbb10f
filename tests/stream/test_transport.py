"""What Storm would swallow, or die of, raises here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamparse import Bolt, Grouping, Spout, Topology

from wattstorm.engine.components import (
    Component,
    components,
    joined,
    load_topology,
    processes,
    stages,
)
from wattstorm.engine.routes import routes_of
from wattstorm.engine.task import Task, targets_of
from wattstorm.engine.wires import Place, Wires
from wattstorm.errors import EmitError, EngineError
from wattstorm.tuples import checked

SWALLOWED = [np.int64(1), np.float32(1), float("nan"), float("inf"), b"\xff", {1, 2}, object()]


class Numbers(Spout):
    """Emits what `todo` holds; keeps what became of it."""

    outputs = ["number"]  # noqa: RUF012

    def initialize(self, conf: dict[str, Any], context: dict[str, Any]) -> None:
        self.todo: list[Any] = []
        self.became: list[tuple[str, str]] = []

    def next_tuple(self) -> None:
        if self.todo:
            value = self.todo.pop(0)
            self.emit([value], tup_id=f"id {value}")

    def ack(self, tup_id: str) -> None:
        self.became.append(("ack", tup_id))

    def fail(self, tup_id: str) -> None:
        self.became.append(("fail", tup_id))


class Passing(Bolt):
    """Passes a number on; fails 13."""

    outputs = ["number"]  # noqa: RUF012
    auto_ack = False

    def process(self, tup: Any) -> None:
        if tup.values.number == 13:
            self.fail(tup)
            return
        self.emit([tup.values.number])
        self.ack(tup)


class Last(Passing):
    """Keeps what arrives; fails 7; misbehaves at 99."""

    def initialize(self, conf: dict[str, Any], context: dict[str, Any]) -> None:
        self.seen: list[int] = []

    def process(self, tup: Any) -> None:
        number = tup.values.number
        self.seen.append(number)
        (self.fail if number == 7 else self.ack)(tup)
        if number == 99:
            self.ack(tup)


class Chain(Topology):
    numbers = Numbers.spec()
    passing = Passing.spec(inputs={numbers: Grouping.fields("number")})
    last = Last.spec(inputs={passing: Grouping.LOCAL_OR_SHUFFLE})


class Stage:
    """All tasks of a topology in this process, on real sockets, each with its turn; together: as
    if those of these names had one process."""

    def __init__(
        self, topology: Any, directory: Path, holders: int | None = None, together: Any = ()
    ) -> None:
        self.topology, self.directory = topology, directory
        self.table = components(topology.specs, 8, holders=holders)
        self.place = Place(together)
        self.of: dict[str, Task] = {}
        for component in self.table:
            for index in range(component.tasks):
                self.start(component.name, index)

    def start(self, name: str, index: int = 0) -> Task:
        own = f"{name}-{index}"
        place = self.place if own in self.place.inboxes else None
        wires = Wires(self.directory, own, targets_of(self.topology, self.table, name), place)
        task = self.of[own] = Task(self.topology, self.table, name, index, {}, wires)
        if not task.source:
            wires.listen()
        return task

    def end(self, name: str) -> None:
        """As when its process dies."""
        self.of.pop(name).wires.close()

    def run(self, quiet: int = 10) -> None:
        """Until nothing happens any more."""
        still = 0
        while still < quiet:
            still += 1
            for task in list(self.of.values()):
                task.hear(0.005)
                if task.work() or (task.source and task.ask()):
                    still = 0

    def close(self) -> None:
        for task in self.of.values():
            task.wires.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(topology: Any, **how: Any) -> Stage:
        made.append(Stage(topology, tmp_path, **how))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def run(stage: Callable[..., Stage]) -> Callable[..., Stage]:
    def make(todo: list[Any], topology: Any = Chain, **how: Any) -> Stage:
        made = stage(topology, **how)
        made.of["numbers-0"].component.todo = todo
        made.run()
        return made

    return make


@pytest.mark.parametrize("together", [[], ["numbers-0", "passing-0"], ["passing-0", "last-0"]])
def test_a_tuple_is_acked_when_all_that_grew_out_of_it_is(
    run: Callable[..., Stage], together: list[str]
) -> None:
    """A failure anywhere in the tree fails the spout's tuple, once; whoever shares a process."""
    found = run([1, 13, 7, 2], together=together)
    assert found.of["last-0"].component.seen == [1, 7, 2]
    assert sorted(found.of["numbers-0"].component.became) == [
        ("ack", "id 1"),
        ("ack", "id 2"),
        ("fail", "id 13"),
        ("fail", "id 7"),
    ]
    for task in found.of.values():
        assert task.pending == 0
        assert not task.tracker.held
        assert not task.tracker.sent


def test_what_a_dead_task_held_fails_at_once_and_the_next_one_gets_what_follows(
    stage: Callable[..., Stage],
) -> None:
    """Whether it was at work on it, or it was on its way there; anywhere in the tree."""
    found = stage(Chain)
    numbers = found.of["numbers-0"].component
    found.end("last-0")
    numbers.todo = [1]
    found.run()
    assert numbers.became == [], "it waits for the task that is not there yet"
    found.start("last")
    for _ in range(5):  # what waited is in its socket then, and it dies
        found.of["passing-0"].hear(0.05)
    found.end("last-0")
    found.run()
    assert numbers.became == [("fail", "id 1")]
    last = found.start("last")
    numbers.todo = [2]
    found.run()
    assert last.component.seen == [2]
    assert numbers.became == [("fail", "id 1"), ("ack", "id 2")]


def test_an_answer_to_a_spout_that_died_is_not_given_to_the_next_one(
    stage: Callable[..., Stage],
) -> None:
    """It numbers its tuples as the one before did."""
    found = stage(Chain)
    found.of["numbers-0"].component.todo = [1]
    found.of["numbers-0"].ask()
    for _ in range(5):  # passing holds the tuple then
        found.of["numbers-0"].hear(0.05)
        found.of["passing-0"].hear(0.05)
    found.end("numbers-0")
    numbers = found.start("numbers").component
    numbers.todo = [13]
    found.run()
    assert found.of["last-0"].component.seen == [1]
    assert numbers.became == [("fail", "id 13")]


class Wide(Topology):
    """Two tasks of each bolt, by each grouping."""

    numbers = Numbers.spec()
    held = Last.spec(name="held", inputs={numbers: Grouping.fields("number")}, par=2)
    turn = Last.spec(name="turn", inputs={numbers: Grouping.SHUFFLE}, par=2)
    one = Last.spec(name="one", inputs={numbers: Grouping.GLOBAL}, par=2)
    each = Last.spec(name="each", inputs={numbers: Grouping.ALL}, par=2)


def test_a_grouping_says_which_task_gets_a_tuple(stage: Callable[..., Stage]) -> None:
    """The same one for the same field; each in turn; the first; all."""
    found = stage(Wide)
    numbers = found.of["numbers-0"].component
    numbers.todo = [1, 2, 1, 2, 1, 4]
    found.run()
    seen = {name: task.component.seen for name, task in found.of.items() if not task.source}
    assert seen == {
        "held-0": [2, 2, 4],
        "held-1": [1, 1, 1],
        "turn-0": [1, 1, 1],
        "turn-1": [2, 2, 4],
        "one-0": [1, 2, 1, 2, 1, 4],
        "one-1": [],
        "each-0": [1, 2, 1, 2, 1, 4],
        "each-1": [1, 2, 1, 2, 1, 4],
    }
    assert [how for how, _ in numbers.became] == ["ack"] * 6


class Unanchored(Passing):
    """Passes numbers on, and lets nobody wait for them."""

    def process(self, tup: Any) -> None:
        self.emit([tup.values.number], anchors=[])
        self.ack(tup)


def test_nobody_waits_for_a_tuple_that_is_anchored_to_nothing(stage: Callable[..., Stage]) -> None:
    """Where its target is gone it is dropped, and its giver acked all the same."""

    class Loose(Topology):
        numbers = Numbers.spec()
        passing = Unanchored.spec(inputs={numbers: Grouping.SHUFFLE})
        last = Last.spec(inputs={passing: Grouping.SHUFFLE})

    found = stage(Loose)
    numbers = found.of["numbers-0"].component
    found.end("last-0")
    numbers.todo = [1]
    found.run()
    assert numbers.became == [("ack", "id 1")]
    last = found.start("last")
    found.run()
    numbers.todo = [2]
    found.run()
    assert last.component.seen == [2]


def test_the_topology_says_how_many_tasks_there_are() -> None:
    """`par`, but no more that share the partitions than there are; settings for who holds them."""

    class Partitions(Numbers):
        outputs = ["partition"]  # noqa: RUF012

    class Curves(Topology):
        numbers = Partitions.spec(par=3)
        holder = Passing.spec(inputs={numbers: Grouping.fields("partition")}, par=2)
        last = Last.spec(inputs={holder: Grouping.LOCAL_OR_SHUFFLE}, par=5)

    table = components(Curves.specs, 4)
    assert {c.name: c.tasks for c in table} == {"numbers": 3, "holder": 2, "last": 5}
    few = components(Curves.specs, 2, holders=8, sources=1)
    assert {c.name: c.tasks for c in few} == {"numbers": 1, "holder": 2, "last": 5}
    order = [[c.name for c in stage] for stage in stages(table)]
    assert order == [["numbers"], ["holder"], ["last"]]
    assert Component("it", 2).task_names == ["it-0", "it-1"]


def test_a_source_lives_with_the_tasks_that_hold_its_partitions() -> None:
    """As many of the one as of the other, task by task; whoever else takes from it is alone."""

    class Partitions(Numbers):
        outputs = ["partition"]  # noqa: RUF012

    class Curves(Topology):
        numbers = Partitions.spec()
        others = Numbers.spec()
        last = Last.spec(inputs={numbers: Grouping.SHUFFLE, others: Grouping.SHUFFLE})
        holder = Passing.spec(inputs={numbers: Grouping.fields("partition")}, par=2)
        second = Passing.spec(inputs={numbers: Grouping.fields("partition")}, par=2)

    table = joined(components(Curves.specs, 8, holders=2))
    assert {c.name: c.tasks for c in table}["numbers"] == 2
    assert [[(c.name, index) for c, index in tasks] for tasks in processes(table)] == [
        [("others", 0)],
        [("last", 0)],
        [("numbers", 0), ("holder", 0)],
        [("numbers", 1), ("holder", 1)],
        [("second", 0)],
        [("second", 1)],
    ]


def _without_address(value: Any) -> str:
    """Tests that are dealt out to two processes must be called the same in both."""
    return repr(value).partition(" at 0x")[0]


@pytest.mark.parametrize("value", SWALLOWED, ids=_without_address)
def test_what_json_cannot_carry_raises_where_pystorm_would_lose_it(
    run: Callable[..., Stage], value: Any
) -> None:
    """In the transport, for whoever emits without care."""
    with pytest.raises(EmitError):
        run([value])


@pytest.mark.parametrize(
    "value", [*SWALLOWED, (1,), "\ud800", [1, np.int64(2)]], ids=_without_address
)
def test_checked_refuses_what_would_not_arrive_as_it_is(value: Any) -> None:
    """In the bolt itself, so that it is refused on Storm as well; the message has the place."""
    with pytest.raises(EmitError, match="value 1 of a tuple"):
        checked([1, value])


def test_checked_passes_plain_values() -> None:
    """As a list, which is what pystorm wants."""
    assert checked((1, 2.5, "é", None, True, [1, ["x"]])) == [1, 2.5, "é", None, True, [1, ["x"]]]


def test_an_ack_too_many_raises(run: Callable[..., Stage]) -> None:
    """Storm would end the worker."""
    with pytest.raises(EngineError, match="which it does not hold"):
        run([99])


def test_a_tuple_with_too_few_fields_raises(run: Callable[..., Stage]) -> None:
    """Storm would find it out downstream, or never."""

    class Short(Numbers):
        outputs = ["number", "missing"]  # noqa: RUF012

    class Broken(Topology):
        numbers = Short.spec()
        passing = Passing.spec(inputs={numbers: Grouping.SHUFFLE})

    with pytest.raises(EmitError, match="2 fields"):
        run([1], Broken)


def test_a_grouping_that_is_not_known_is_refused() -> None:
    """At the start, naming the component."""

    class Far(Topology):
        numbers = Numbers.spec()
        passing = Passing.spec(inputs={numbers: Grouping.DIRECT})

    with pytest.raises(EngineError, match="passing takes numbers"):
        routes_of(Far.specs, components(Far.specs, 1))


@pytest.mark.parametrize("name", ["nowhere:X", "topologies.nowhere:X", "wattstorm.errors:Nothing"])
def test_a_topology_that_is_not_there_is_named(name: str) -> None:
    """A missing module or class is the setting's fault, not a traceback."""
    with pytest.raises(EngineError, match=name.split(":")[0]):
        load_topology(name)
