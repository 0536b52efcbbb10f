"""A spout or bolt alone, in the test's own process, on a real store: what it hears and says."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

from pystorm.component import Tuple

from tests.stream.town import DAY0, Town, assert_conserved, audit, committed_sums
from wattstorm.engine.transport import MemorySerializer
from wattstorm.store.log import Append


@dataclass
class Part:
    """A component and the messages that it sent."""

    component: Any
    sent: list[dict[str, Any]] = field(default_factory=list)

    def give(self, *values: Any) -> str:
        """One tuple to a bolt; how it answered: "ack" or "fail"."""
        self.sent.clear()
        tup = Tuple(f"t{id(values)}", "source", "default", 1, values)
        self.component._current_tups = [tup]
        self.component.process(tup)
        answers = [m["command"] for m in self.sent if m["command"] in ("ack", "fail")]
        assert len(answers) == 1
        return str(answers[0])

    def tick(self) -> None:
        self.component.process_tick(Tuple("tick", "__system", "__tick", -1, (1,)))

    def emitted(self) -> list[tuple[int, ...]]:
        """Values of the tuples emitted since the last call."""
        found = [tuple(m["tuple"]) for m in self.sent if m["command"] == "emit"]
        self.sent.clear()
        return found


def started(cls: type[Any], town: Town, index: int = 0, tasks: int = 1) -> Part:
    """Task `index` of `tasks` of a component, initialized."""
    component = cls(io.BytesIO(), io.BytesIO(), rdb_signal=None)
    part = Part(component)
    component.serializer = MemorySerializer(part.sent.append)
    conf = {"wattstorm": town.settings.to_conf(), "wattstorm.store_url": town.url}
    context = {
        "taskid": index + 1,
        "componentid": "it",
        "task->component": {str(i + 1): "it" for i in range(tasks)},
    }
    component._setup_component(conf, context)
    component.initialize(conf, context)
    part.sent.clear()
    return part


def append(town: Town, partition: int, blocks: list[bytes], first: int = 1) -> None:
    """Blocks straight into a partition's log, numbered from `first`."""
    with town.connect() as connection:
        rows = [Append(partition, "test", first + i, data, 1) for i, data in enumerate(blocks)]
        assert {answer.status for answer in town.log(connection).append_many(rows)} <= {"new"}


def save(bolt: Part, partition: int = 0) -> None:
    """A snapshot of what the bolt holds, on disk when this returns."""
    bolt.component.consumer.saver.begin(bolt.component.consumer.owned[partition])
    bolt.component.consumer.saver.collect(wait=True)


def nation(town: Town) -> dict[int, tuple[int, int]]:
    """slot of the day → (Wh, meters), as committed; what was received is accounted for."""
    with town.connect() as connection:
        sums = committed_sums(town, connection).get("nation", {})
        assert_conserved(audit(town, connection))
    return {slot - DAY0: value for slot, value in sorted(sums.items())}


def dumped(town: Town, pattern: str = "*") -> dict[Any, Any]:
    """All that the store holds under keys like `pattern`, as `go_back` takes it."""
    with town.connect() as connection:
        return {key: connection.redis.dump(key) for key in connection.redis.keys(pattern)}


def go_back(town: Town, kept: dict[Any, Any]) -> None:
    """The store as it was when `kept` was taken, as after a power cut or from a backup."""
    with town.connect() as connection:
        connection.redis.flushall()
        for key, value in kept.items():
            connection.redis.restore(key, 0, value)
