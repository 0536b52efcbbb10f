"""What Storm would swallow, or die of, raises here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from streamparse import Bolt, Grouping, Spout, Topology

from wattstorm.engine.tasks import Tasks, load_topology
from wattstorm.engine.transport import routes_of
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


def run(todo: list[Any], topology: Any = Chain) -> Tasks:
    tasks = Tasks(topology, {}, 0, 1)
    tasks.of["numbers"].component.todo = todo
    while tasks.ask_spouts() or tasks.work():
        while tasks.work():
            pass
    return tasks


def test_a_tuple_is_acked_when_all_that_grew_out_of_it_is() -> None:
    """A failure anywhere in the tree fails the spout's tuple, once."""
    tasks = run([1, 13, 7, 2])
    assert tasks.of["last"].component.seen == [1, 7, 2]
    assert tasks.of["numbers"].component.became == [
        ("ack", "id 1"),
        ("fail", "id 13"),
        ("fail", "id 7"),
        ("ack", "id 2"),
    ]
    assert tasks.pending == 0
    assert not tasks.tracker.live


@pytest.mark.parametrize("value", SWALLOWED, ids=repr)
def test_what_json_cannot_carry_raises_where_pystorm_would_lose_it(value: Any) -> None:
    """In the transport, for whoever emits without care."""
    with pytest.raises(EmitError):
        run([value])


@pytest.mark.parametrize("value", [*SWALLOWED, (1,), "\ud800", [1, np.int64(2)]], ids=repr)
def test_checked_refuses_what_would_not_arrive_as_it_is(value: Any) -> None:
    """In the bolt itself, so that it is refused on Storm as well; the message has the place."""
    with pytest.raises(EmitError, match="value 1 of a tuple"):
        checked([1, value])


def test_checked_passes_plain_values() -> None:
    """As a list, which is what pystorm wants."""
    assert checked((1, 2.5, "é", None, True, [1, ["x"]])) == [1, 2.5, "é", None, True, [1, ["x"]]]


def test_an_ack_too_many_raises() -> None:
    """Storm would end the worker."""
    with pytest.raises(EngineError, match="which it does not hold"):
        run([99])


def test_a_tuple_with_too_few_fields_raises() -> None:
    """Storm would find it out downstream, or never."""

    class Short(Numbers):
        outputs = ["number", "missing"]  # noqa: RUF012

    class Broken(Topology):
        numbers = Short.spec()
        passing = Passing.spec(inputs={numbers: Grouping.SHUFFLE})

    with pytest.raises(EmitError, match="2 fields"):
        run([1], Broken)


@pytest.mark.parametrize("grouping", [Grouping.ALL, Grouping.GLOBAL, Grouping.DIRECT], ids=repr)
def test_a_grouping_that_leaves_the_process_is_refused(grouping: Any) -> None:
    """At the start, naming the component."""

    class Far(Topology):
        numbers = Numbers.spec()
        passing = Passing.spec(inputs={numbers: grouping})

    with pytest.raises(EngineError, match="passing takes numbers"):
        routes_of(Far.specs)


@pytest.mark.parametrize("name", ["nowhere:X", "topologies.nowhere:X", "wattstorm.errors:Nothing"])
def test_a_topology_that_is_not_there_is_named(name: str) -> None:
    """A missing module or class is the setting's fault, not a traceback."""
    with pytest.raises(EngineError, match=name.split(":")[0]):
        load_topology(name)
