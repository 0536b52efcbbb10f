"""What the log took, entry by entry, and which commits are known: told to the oracle in the end."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.simulation.store import Store
from tests.simulation.values import Stream


class Logged(NamedTuple):
    """kind: '' for a block; arrived: ms; again: whether it had been a dead letter."""

    kind: str
    data: bytes
    arrived: int
    again: bool


class History:
    """Of each partition: position → entry; position → (producer's key, its number); and
    position → floor of the states that began after it without memory.

    It follows the store: what the store loses is forgotten.
    """

    def __init__(self, store: Store, keys: list[Any]) -> None:
        self._store = store
        self._heads = [k.head.encode() for k in keys]
        self._fences = [k.fence.encode() for k in keys]
        self._logs = {k.log.encode(): p for p, k in enumerate(keys)}
        self.entries: list[dict[int, Logged]] = [{} for _ in keys]
        self.numbers: list[dict[int, tuple[bytes, int]]] = [{} for _ in keys]
        self.floors: list[dict[int, int]] = [{} for _ in keys]
        self.poisoned: list[set[int]] = [set() for _ in keys]
        self._states: dict[bytes, tuple[int, int, int]] = {}
        self._poison = {k.poison.encode(): p for p, k in enumerate(keys)}

    def tail(self, partition: int) -> int:
        return self._field(self._heads[partition], b"tail")

    def fence(self, partition: int) -> int:
        return self._field(self._fences[partition], b"position")

    def appended(self, command: tuple[bytes, ...], script: str) -> None:
        """An append of this command was carried out."""
        partition = self._logs[command[3]]
        stream: Stream = self._store.data.keys[command[3]]
        (position, _), fields = stream.entries[-1]
        row = dict(zip(fields[::2], fields[1::2], strict=True))
        kind, again = row.get(b"k", b"").decode(), script == "replay_letter"
        self.entries[partition][position] = Logged(kind, row[b"b"], int(row[b"t"]), again)
        if script == "append":
            arguments = command[3 + int(command[2]) :]
            self.numbers[partition][position] = command[5], int(arguments[0])

    def applies(self, own: Any) -> None:
        """A task is about to apply the entries after its state's position."""
        self._states[own.token.encode()] = own.number, own.state.position, own.state.partition.floor

    def committed(self, command: tuple[bytes, ...]) -> None:
        """A commit of this command was carried out."""
        if command[3] not in self._fences:
            return  # another consumer's
        token = command[3 + int(command[2])]
        partition, position, floor = self._states[token]
        if floor >= 0 and floor not in self.floors[partition].values():
            self.floors[partition][position] = floor
        for key in command[3:]:
            if key in self._poison and (found := self._store.data.keys.get(key)):
                self.poisoned[self._poison[key]].update(map(int, found))

    def went_back(self) -> None:
        for p, entries in enumerate(self.entries):
            tail, fence = self.tail(p), self.fence(p)
            for position in [x for x in entries if x > tail]:
                del entries[position]
                self.numbers[p].pop(position, None)
            for position in [x for x in self.floors[p] if x >= fence]:
                del self.floors[p][position]
            self.poisoned[p] = {x for x in self.poisoned[p] if x <= fence}

    def copy(self) -> Any:
        held = self.entries, self.numbers, self.floors, self.poisoned
        return [[type(x)(x) for x in xs] for xs in held]

    def restore(self, copy: Any) -> None:
        held = ([type(x)(x) for x in xs] for xs in copy)
        self.entries, self.numbers, self.floors, self.poisoned = held

    def where(self) -> str:
        """Fences and tails, for the trace."""
        at = (f"p{p} {self.fence(p)}/{self.tail(p)}" for p in range(len(self.entries)))
        return "fence/tail " + ", ".join(at)

    def _field(self, key: bytes, name: bytes) -> int:
        found = self._store.data.keys.get(key) or {}
        return int(found.get(name, 0))
