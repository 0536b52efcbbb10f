"""A small town's readings, what they must add up to, and a wattstorm that runs on them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tests.register.registers import register_rows
from tests.stream import oracle
from tests.stream.oracle import truth
from tests.stream.slotslog import assert_told_once
from wattstorm.files.meters import build_register
from wattstorm.metering import block as blocks
from wattstorm.metering.aggregates import Scopes, SlotSums
from wattstorm.metering.checks import REJECTED
from wattstorm.readers.results import Results
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store import closing
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.log import Log
from wattstorm.store.results import ResultStore

DAY0 = 19_700 * 48
LATEST = 48


@dataclass
class Town:
    """A register, a store's address, and readers of what stands in the store."""

    directory: Path
    url: str
    register: Register
    options: dict[str, Any]

    @property
    def settings(self) -> Settings:
        given = {"data.directory": self.directory, "store.url": self.url, **self.options}
        return Settings.load(environ={}, options=given)

    @property
    def partitions(self) -> range:
        return range(self.register.partitions)

    def connect(self) -> Connection:
        return Connection(self.url)

    def log(self, connection: Connection) -> Log:
        return Log(connection, self.settings.store.prefix)

    def stores(self, connection: Connection) -> list[PartitionStore]:
        prefix = self.settings.store.prefix
        return [PartitionStore(connection, prefix, p) for p in self.partitions]

    def engine(self, workers: int = 2, *, drain: bool = False, module: str = "") -> Any:
        """The local engine in a process of its own, as `wattstorm run` would start it."""
        arguments = [str(self.directory), self.url, str(workers), str(int(drain)), module]
        for name, value in self.options.items():
            given = ",".join(value) if isinstance(value, list) else value
            arguments.append(f"{name}={given}")
        return subprocess.Popen([sys.executable, "-m", "tests.stream.run_engine", *arguments])


def a_town(directory: Path, url: str, meters: int, partition_size: int, **options: Any) -> Town:
    source = directory / "meters.csv"
    oracle.register_changes(register_rows(meters)).write_csv(source)
    register = build_register([source], directory / "register", partition_size=partition_size)
    return Town(directory, url, register, {k.replace("__", "."): v for k, v in options.items()})


def a_stream(seed: int, meters: int, slots: int) -> pl.DataFrame:
    """Nearly every meter in every slot, doubles 5 %, corrections 5 %; shuffled, a tenth late.

    No reading comes more than LATEST slots behind the newest: what is refused as too old
    depends on who sends when. In every third slot some meters are silent.
    """
    rng = np.random.default_rng(seed)
    n = meters * slots
    key = np.arange(n)
    base = pl.DataFrame(
        {
            "meter": key % meters,
            "slot": DAY0 + key // meters,
            "wh": rng.integers(0, 3601, n),
            "version": np.zeros(n, np.int64),
        }
    )
    corrections = base.sample(n // 20, seed=seed).with_columns(
        wh=pl.Series(rng.integers(0, 3601, n // 20)),
        version=pl.Series(rng.integers(0, 3, n // 20)),
    )
    doubles = base.sample(n // 20, seed=seed + 1)
    silent = (base["slot"].to_numpy() % 3 == 0) & (rng.random(n) < 0.05)
    stream = pl.concat([base.filter(~silent), doubles, corrections])
    # In time, give or take some hours; a tenth comes half a day later.
    late = LATEST / 2 * rng.random(len(stream)) * (rng.random(len(stream)) < 0.1)
    jitter = np.clip(rng.normal(0, 6, len(stream)), -LATEST / 4, LATEST / 4)
    when = stream["slot"].to_numpy() + jitter + late
    return stream[np.argsort(when)]


def in_blocks(stream: pl.DataFrame, partition_size: int, size: int) -> Iterator[blocks.Block]:
    """The stream in its order, `size` readings at a time, split by partition."""
    for at in range(0, len(stream), size):
        part = stream[at : at + size].with_columns(p=pl.col("meter") // partition_size)
        for (number,), rows in part.group_by("p", maintain_order=True):
            yield blocks.readings(
                int(number),
                rows["meter"],
                rows["slot"],
                rows["wh"],
                version=rows["version"],
                producer="town",
            )


def committed_sums(town: Town, connection: Connection) -> dict[str, dict[int, tuple[int, int]]]:
    """The same out of the committed sums."""
    scopes = Scopes(town.register)
    merged: dict[int, SlotSums] = {}
    results = ResultStore(connection, town.settings.store.prefix)
    for (_, slot), sums in closing.committed_sums(results, town.partitions).items():
        merged[slot] = merged[slot] + sums if slot in merged else sums
    out: dict[str, dict[int, tuple[int, int]]] = {}
    for slot, sums in merged.items():
        wh, n = scopes.roll_up(sums)
        for label, w, k in zip(scopes.labels(), wh.tolist(), n.tolist(), strict=True):
            if k:
                out.setdefault(label, {})[slot] = (w, k)
    return out


def audit(town: Town, connection: Connection) -> dict[str, int]:
    total: dict[str, int] = {}
    for store in town.stores(connection):
        for name, n in store.audit().items():
            total[name] = total.get(name, 0) + n
    return total


def assert_conserved(counts: dict[str, int]) -> None:
    """received = accepted + rejected + doubles, to the reading."""
    from wattstorm.metering.checks import Outcome

    parts = sum(counts.get(outcome.name.lower(), 0) for outcome in Outcome)
    assert counts["received"] == parts, counts


def assert_exact(town: Town, stream: pl.DataFrame, *, again: bool = False) -> None:
    """Committed sums, published curves and the audit, against a plain recomputation.

    again: readings that were refused were sent again, and register or rules changed meanwhile:
    how many corrections and revisions that makes depends on who came first."""
    expected = truth(stream, town.settings.stream.time_zone)
    replaced = sum(oracle.replaced(stream).values())
    with town.connect() as connection:
        assert committed_sums(town, connection) == expected
        counts = audit(town, connection)
        assert_conserved(counts)
        refused = sum(counts.get(outcome.name.lower(), 0) for outcome in REJECTED)
        assert counts["received"] - refused == len(stream)
        assert counts["new"] == stream.select("meter", "slot").n_unique()
        if not again:
            assert refused == 0
            assert counts.get("corrected", 0) + counts.get("conflict_won", 0) == replaced
    with Results.open(town.settings) as results:
        _assert_published(town, stream, results, revisions=not again)
        _assert_balanced(results, stream.select("meter", "slot").n_unique())
    with town.connect() as connection:
        labels = Scopes(town.register).labels()
        assert_told_once(connection, town.settings.store.prefix, labels)


def _assert_published(
    town: Town, stream: pl.DataFrame, results: Results, *, revisions: bool
) -> None:
    """Every curve: Wh, readings, expected, coverage, status, revision."""
    rules = town.settings.stream
    deadline = round(rules.deadline_hours * 3600 / 1800)
    wanted = oracle.published(
        stream,
        town.register.count,
        town.register.partition_size,
        rules.final_coverage,
        deadline,
        rules.open_days * 48,
        rules.time_zone,
    )
    # What its deadline makes final is published at the next tick.
    wait_until(lambda: _rows(results, wanted)[0] == wanted.rows, 20, "the curves to be as wanted")
    found = _rows(results, wanted)[1]
    if not revisions:
        return
    if deadline > stream["slot"].n_unique():
        assert found == wanted.revisions
    else:  # and how many of them came after their deadline depends on who came first
        assert all(n >= wanted.revisions[slot] for slot, n in found.items())


def _rows(
    results: Results, wanted: oracle.Published
) -> tuple[dict[str, dict[int, tuple[Any, ...]]], dict[int, int]]:
    found: dict[str, dict[int, tuple[Any, ...]]] = {}
    revisions: dict[int, int] = {}
    for label, slots in wanted.rows.items():
        days = [results.calendar.date_of(slot) for slot in (min(slots), max(slots))]
        c = results.curve(label, *days)
        columns = (c.wh, c.readings, c.expected, c.coverage, c.status)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        whole = dict(zip(c.slots.tolist(), rows, strict=True))
        there = set(c.slots[c.published].tolist())
        found[label] = {s: row for s, row in whole.items() if s in there and (row[2] or row[1])}
        of_slots = zip(c.slots.tolist(), c.revision.tolist(), strict=True)
        revisions |= {slot: n for slot, n in of_slots if slot in there}
    return found, revisions


def _assert_balanced(results: Results, readings: int) -> None:
    balances = results.balances()
    assert all(balance.holds for balance in balances), balances
    assert sum(balance.readings_in_curves for balance in balances) == readings


def wait_until(done: Any, timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s} s"
        time.sleep(0.05)


def drained(town: Town, connection: Connection) -> bool:
    """Every fence stands at its log's end, and nothing waits to be published."""
    tails = town.log(connection).tails(town.partitions)
    stores = town.stores(connection)
    return all(
        store.fence().position == tail and not connection.redis.zcard(store.keys.dirty)
        for store, tail in zip(stores, tails, strict=True)
    )
