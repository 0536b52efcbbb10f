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

from tests.metering.registers import small_register
from wattstorm.metering import block as blocks
from wattstorm.metering.aggregates import Scopes, SlotSums
from wattstorm.metering.register import Register
from wattstorm.readers.results import Results
from wattstorm.settings import Settings
from wattstorm.store import closing
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.log import Log
from wattstorm.store.results import ResultStore

DAY0 = 19_700 * 48


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
        arguments += [f"{name}={value}" for name, value in self.options.items()]
        return subprocess.Popen([sys.executable, "-m", "tests.stream.run_engine", *arguments])


def a_town(directory: Path, url: str, meters: int, partition_size: int, **options: Any) -> Town:
    register = small_register(directory, meters, partition_size)
    return Town(directory, url, register, {k.replace("__", "."): v for k, v in options.items()})


def a_stream(seed: int, meters: int, slots: int) -> pl.DataFrame:
    """Every meter in every slot, doubles 5 %, corrections 5 %; shuffled, a tenth late."""
    rng = np.random.default_rng(seed)
    n = meters * slots
    key = np.arange(n)
    base = pl.DataFrame({
        "meter": key % meters, "slot": DAY0 + key // meters,
        "wh": rng.integers(0, 3601, n), "version": np.zeros(n, np.int64),
    })  # fmt: skip
    corrections = base.sample(n // 20, seed=seed).with_columns(
        wh=pl.Series(rng.integers(0, 3601, n // 20)),
        version=pl.Series(rng.integers(0, 3, n // 20)),
    )
    stream = pl.concat([base, base.sample(n // 20, seed=seed + 1), corrections])
    # In time, give or take some hours; a tenth comes at the very end.
    late = rng.random(len(stream)) < 0.1
    when = stream["slot"].to_numpy() + rng.normal(0, 6, len(stream)) + 1000 * late
    return stream[np.argsort(when)]


def in_blocks(stream: pl.DataFrame, partition_size: int, size: int) -> Iterator[blocks.Block]:
    """The stream in its order, `size` readings at a time, split by partition."""
    for at in range(0, len(stream), size):
        part = stream[at : at + size].with_columns(p=pl.col("meter") // partition_size)
        for (number,), rows in part.group_by("p", maintain_order=True):
            yield blocks.readings(
                int(number), rows["meter"], rows["slot"], rows["wh"], version=rows["version"],
                producer="town",
            )  # fmt: skip


def truth(stream: pl.DataFrame) -> dict[str, dict[int, tuple[int, int]]]:
    """Scope → slot → (Wh, meters), recomputed plainly with polars."""
    best = stream.sort("version", "wh").group_by("meter", "slot", maintain_order=True).last()
    best = best.with_columns(
        tariff=pl.format("tariff:tariff_{}", (pl.col("meter") % 12).cast(pl.String).str.zfill(2)),
        region=pl.format("region:region_{}", pl.col("meter") % 3),
        nation=pl.lit("nation"),
    )
    out: dict[str, dict[int, tuple[int, int]]] = {}
    for scope in ("nation", "tariff", "region"):
        sums = best.group_by(scope, "slot").agg(pl.col("wh").sum(), pl.len().alias("n"))
        for label, slot, wh, n in sums.iter_rows():
            out.setdefault(label, {})[slot] = (wh, n)
    return out


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


def assert_exact(town: Town, stream: pl.DataFrame) -> None:
    """Committed sums, published curves and the audit, against a plain recomputation."""
    expected = truth(stream)
    with town.connect() as connection:
        assert committed_sums(town, connection) == expected
        counts = audit(town, connection)
        assert_conserved(counts)
        assert counts["received"] == len(stream)
        assert counts["new"] == stream.select("meter", "slot").n_unique()
    results = Results.open(town.settings)
    for label, slots in expected.items():
        days = [results.calendar.date_of(slot) for slot in (min(slots), max(slots))]
        curve = results.curve(label, *days)
        got = zip(curve.slots.tolist(), curve.wh.tolist(), curve.readings.tolist(), strict=True)
        assert {s: (w, n) for s, w, n in got if n} == slots, label
    balances = results.balances()
    assert all(balance.holds for balance in balances), balances
    assert sum(b.readings_in_curves for b in balances) == stream.select("meter", "slot").n_unique()


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
