"""What a town's stream must come to, recomputed plainly: polars and dates, nothing of wattstorm's.

The register of a town changes in the days of its stream: every fifth meter gets another tariff
twice, some another region, so that what a slot adds up to depends on its local date.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

ZONE = "Europe/Paris"
FIRST_TARIFF, SECOND_TARIFF = date(2023, 12, 11), date(2023, 12, 14)
REGION = date(2023, 12, 13)
CHANGES = (FIRST_TARIFF, REGION, SECOND_TARIFF)
SCOPES = ("nation", "tariff", "region")


def with_entries(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns `meter` and `date` → the names of tariff and region that are valid then."""
    meter, day = pl.col("meter"), pl.col("date")
    moves = meter % 5 == 0
    tariff = (
        pl.when(moves & (day >= SECOND_TARIFF))
        .then((meter + 5) % 12)
        .when(moves & (day >= FIRST_TARIFF))
        .then((meter + 1) % 12)
        .otherwise(meter % 12)
    )
    region = pl.when((meter % 7 == 3) & (day >= REGION)).then(meter + 1).otherwise(meter) % 3
    return frame.with_columns(
        tariff=pl.format("tariff_{}", tariff.cast(pl.String).str.zfill(2)),
        region=pl.format("region_{}", region),
    )


def register_changes(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of a register (see `register_rows`), changed as above; only those that change."""
    meters = rows.with_row_index("meter").with_columns(pl.col("meter").cast(pl.Int64))
    parts = []
    for day in CHANGES:
        of_day = with_entries(meters.with_columns(date=pl.lit(day), valid_from=pl.lit(str(day))))
        before = parts[-1] if parts else meters
        parts.append(of_day)
        moved = (of_day["tariff"] != before["tariff"]) | (of_day["region"] != before["region"])
        yielded = of_day.filter(moved).select(rows.columns)
        rows = pl.concat([rows, yielded])
    return rows


def dated(stream: pl.DataFrame, zone: str) -> pl.DataFrame:
    """With the local date of each slot."""
    start = pl.from_epoch(pl.col("slot").cast(pl.Int64) * 1800)
    local = start.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return stream.with_columns(date=local.dt.date())


def truth(stream: pl.DataFrame, zone: str = ZONE) -> dict[str, dict[int, tuple[int, int]]]:
    """Scope → slot → (Wh, meters): of each meter and slot the highest version, then Wh."""
    best = stream.sort("version", "wh").group_by("meter", "slot", maintain_order=True).last()
    best = _labelled(with_entries(dated(best, zone)))
    out: dict[str, dict[int, tuple[int, int]]] = {}
    for scope in SCOPES:
        sums = best.group_by(scope, "slot").agg(pl.col("wh").sum(), pl.len().alias("n"))
        for label, slot, wh, n in sums.iter_rows():
            out.setdefault(label, {})[slot] = (wh, n)
    return out


def replaced(stream: pl.DataFrame) -> dict[int, int]:
    """Slot → readings that replaced the one held, in the order of the stream."""
    ranked = stream.with_columns(rank=pl.col("version") * 100_000 + pl.col("wh"))
    held = pl.col("rank").cum_max().shift(1).over("meter", "slot")
    wins = ranked.with_columns(wins=(pl.col("rank") > held).fill_null(value=False))
    return dict(wins.group_by("slot").agg(pl.col("wins").sum()).iter_rows())


@dataclass(frozen=True)
class Published:
    """label → slot → (wh, readings, expected, coverage, status); slot → revision, at least."""

    rows: dict[str, dict[int, tuple[Any, ...]]]
    revisions: dict[int, int]


def published(
    stream: pl.DataFrame,
    meters: int,
    partition_size: int,
    final_coverage: float,
    deadline_slots: int,
    patience_slots: int,
    zone: str = ZONE,
) -> Published:
    """The rows of every curve once all is published. A slot is final when each partition stands
    `deadline_slots` behind it, or the foremost `patience_slots` more."""
    slots = dated(stream.select("slot").unique(), zone)
    ends = stream.group_by(pl.col("meter") // partition_size).agg(pl.col("slot").max())["slot"]
    ends = ends.to_list() + [-1] * (-(-meters // partition_size) - len(ends))
    passed = max(min(ends), max(ends) - patience_slots) - deadline_slots
    days = slots.select("date").unique()
    numbers = pl.DataFrame({"meter": range(meters)}, schema={"meter": pl.Int64})
    entries = _labelled(with_entries(numbers.join(days, how="cross")))
    sums, rows = truth(stream, zone), {}
    for scope in SCOPES:
        expected = entries.group_by(scope, "date").len().join(slots, on="date")
        for label, n_expected, slot in expected.select(scope, "len", "slot").iter_rows():
            wh, n = sums.get(label, {}).get(slot, (0, 0))
            final = n / n_expected >= final_coverage or slot <= passed
            status = "final" if final else "provisional"
            row = (wh, n, n_expected, round(n / n_expected, 6), status)
            rows.setdefault(label, {})[slot] = row
    return Published(rows, {slot: 1 + n for slot, n in replaced(stream).items()})


def _labelled(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        nation=pl.lit("nation"),
        tariff=pl.format("tariff:{}", "tariff"),
        region=pl.format("region:{}", "region"),
    )
