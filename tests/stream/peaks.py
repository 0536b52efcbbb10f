"""A second consumer of the readings, as small as one can be: the peak of each meter."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.stream.town import Town
from wattstorm.errors import BlockError, SnapshotError
from wattstorm.metering import block as blocks
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.deadletters import DeadLetter
from wattstorm.store.log import Entry, Log
from wattstorm.store.writes import Counters, Writes
from wattstorm.stream.consumer import Consumer
from wattstorm.stream.state import Scalars

PEAKS = "peaks"
POISON_WH = 667


class Peaks:
    """meter → its largest Wh so far. A block whose readings are all POISON_WH raises."""

    def __init__(self, number: int) -> None:
        self.number, self.position = number, 0
        self.peaks: dict[int, int] = {}
        self._kept: tuple[int, dict[int, int]] = 0, {}
        self._entries, self._dead = 0, list[DeadLetter]()

    def apply(self, entry: Entry) -> None:
        if entry.kind:
            self.refuse(entry, "kind", f"an entry of kind {entry.kind!r} is not known")
            return
        try:
            columns = blocks.decode(entry.data).columns
        except BlockError as error:
            self.refuse(entry, error.reason, error.what)
            return
        if (columns.wh == POISON_WH).all():
            raise ZeroDivisionError("a fault of the toy")
        for meter, wh in zip(
            columns.meter.tolist(), np.atleast_1d(columns.wh).tolist(), strict=True
        ):
            self.peaks[meter] = max(wh, self.peaks.get(meter, wh))
        self.position, self._entries = entry.position, self._entries + 1

    def refuse(self, entry: Entry, reason: str, what: str) -> None:
        self.position = entry.position
        self._dead.append(DeadLetter(reason, entry.position, 0, entry.data, what))

    def writes(self) -> Writes:
        changed = {m: wh for m, wh in self.peaks.items() if self._kept[1].get(m) != wh}
        counters = Counters("audit", {"entries": self._entries, "refused": len(self._dead)})
        return Writes(
            fields={PEAKS: {str(meter): wh for meter, wh in changed.items()}},
            members={"ranked": {str(meter): wh for meter, wh in changed.items()}},
            counters=[counters],
            dead=self._dead,
            rising={"highest_wh": max(self.peaks.values(), default=0)},
        )

    def keep(self) -> None:
        self._kept = self.position, dict(self.peaks)
        self._entries, self._dead = 0, []

    def undo(self) -> None:
        position, peaks = self._kept
        self.position, self.peaks = position, dict(peaks)
        self._entries, self._dead = 0, []

    def start_after(self, position: int, scalars: Scalars) -> None:
        self.position = position
        self.keep()

    def resume(self, scalars: Scalars) -> None:
        pass

    def snapshot(self) -> tuple[dict[str, Any], dict[str, Any]]:
        table = np.array(sorted(self.peaks.items()), np.int64).reshape(-1, 2)
        return {"peaks": table}, {"position": self.position, "schema": 2}

    def unsaved_rows(self) -> set[str]:
        return set()

    def restore(self, arrays: dict[str, Any], header: dict[str, Any]) -> None:
        if header.get("schema") != 2:
            raise SnapshotError(f"schema {header.get('schema')}, this toy reads 2")
        self.position = header["position"]
        self.peaks = dict(arrays["peaks"].tolist())
        self.keep()


def consumer(town: Town, connection: Connection, log: Any = None, **how: Any) -> Consumer:
    """In this process, without Storm; of the readings, or of another log."""
    return Consumer(
        log or Log(connection, town.settings.store.prefix),
        PEAKS,
        lambda partition, scalars: Peaks(partition),
        settings=town.settings,
        connection=connection,
        partitions=town.register.partitions,
        **how,
    )


def store_of(town: Town, connection: Connection, partition: int = 0) -> PartitionStore:
    return PartitionStore(connection, town.settings.store.prefix, partition, consumer=PEAKS)


def peaks_in(town: Town, connection: Connection, partition: int = 0) -> dict[int, int]:
    """meter → Wh, as committed."""
    key = f"{store_of(town, connection, partition).keys.own}:{PEAKS}"
    found: dict[bytes, bytes] = connection.redis.hgetall(key)
    return {int(meter): int(wh) for meter, wh in found.items()}
