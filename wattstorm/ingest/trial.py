"""What would become of the readings of files, were they sent now: looked at, nothing sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from wattstorm.files.readings import Source
from wattstorm.metering.checks import power_limit_wh
from wattstorm.metering.rules import Rules
from wattstorm.metering.slots import day_number
from wattstorm.register.register import Register

TINY: Final = 1 / 2000
"""Mean energy, as a share of what contracted power allows, below which the unit is doubted."""
HIGH: Final = 0.01
"""Share of readings above contracted power from which the unit, or the register, is doubted."""


@dataclass(frozen=True)
class Trial:
    """rows: of all files; refused: by reason, as ingest and stream would refuse them, doubles and
    conflicts not looked for; unknown: some of the ids that the register has not; mean_wh,
    highest_wh: of the known meters; mean_limit_wh: what their contracted power allows in a slot.
    """

    rows: int
    refused: Counter[str]
    unknown_meters: int
    unknown: list[str]
    meters: int
    mean_wh: float
    highest_wh: int
    mean_limit_wh: float

    def smells(self) -> list[str]:
        """Warnings: energies that do not go with contracted power."""
        if not self.meters:
            return []
        found = []
        high = self.refused["too_high"]
        if high > HIGH * self.rows:
            found.append(
                f"{high:,} readings are above contracted power: is the unit right, and is "
                "contracted_power_va in VA, not kVA?"
            )
        if 0 <= self.mean_wh < TINY * self.mean_limit_wh:
            found.append(
                f"a reading holds {self.mean_wh:.3g} Wh on average, contracted power allows "
                f"{self.mean_limit_wh:,.0f}: is the unit right?"
            )
        return found


def try_source(
    register: Register, source: Source, rules: Rules, lows: npt.NDArray[np.int64] | None
) -> Trial:
    """lows: by partition the first slot that is still taken; None: the stream has none yet."""
    frame = source.frame
    ids = frame.select(pl.col("id").unique()).drop_nulls().collect(engine="streaming")["id"]
    dense = register.lookup(ids.to_numpy())
    last = max(found.last for found in source.surveys) // 1_000_000
    valid = register.columns(
        0, register.count, day_number(rules.calendar.date_of(last // rules.grid.seconds))
    )
    at = np.maximum(dense, 0)
    limits = power_limit_wh(valid.power_va[at], rules.grid.minutes, rules.power_margin)
    low = np.zeros(len(ids), np.int64)
    if lows is not None:
        of = at // register.partition_size
        low = np.where(of < len(lows), lows[np.minimum(of, len(lows) - 1)], 0)
    meters = pl.DataFrame(
        {
            "id": ids,
            "known": dense >= 0,
            "limit": limits,
            "producer": valid.producer[at],
            "low_us": low * rules.grid.seconds * 1_000_000,
        }
    )
    found = _counted(frame, meters, rules)
    unknown = ids.filter(pl.Series(dense < 0))
    refused = Counter({name: found[name] for name in _REASONS if found[name]})
    return Trial(
        source.rows,
        refused,
        len(unknown),
        [str(i) for i in unknown.head(5).to_list()],
        int((dense >= 0).sum()),
        found["mean"] or 0.0,
        found["highest"] or 0,
        found["limit"] or 0.0,
    )


_REASONS = ("unreadable", "unknown_meter", "off_grid", "too_old", "negative", "too_high")


def _counted(frame: pl.LazyFrame, meters: pl.DataFrame, rules: Rules) -> dict[str, Any]:
    """Rows by the first reason against them, and what the known meters' energies are."""
    unreadable = pl.any_horizontal(pl.col("id", "at", "wh", "version").is_null())
    reason = (
        pl.when(unreadable | (pl.col("wrong") > 0))
        .then(pl.lit("unreadable"))
        .when(~pl.col("known"))
        .then(pl.lit("unknown_meter"))
        .when(pl.col("at") % (rules.grid.seconds * 1_000_000) != 0)
        .then(pl.lit("off_grid"))
        .when(pl.col("at") < pl.col("low_us"))
        .then(pl.lit("too_old"))
        .when((pl.col("wh") < 0) & ~pl.col("producer"))
        .then(pl.lit("negative"))
        .when(pl.col("wh").abs() > pl.col("limit"))
        .then(pl.lit("too_high"))
    )
    known = pl.col("known") & pl.col("wh").is_not_null()
    return (
        frame.select("id", "at", "wh", "version", "wrong")
        .join(meters.lazy(), on="id", how="left")
        .with_columns(reason.alias("reason"))
        .select(
            *((pl.col("reason") == name).sum().alias(name) for name in _REASONS),
            pl.col("wh").filter(known).mean().alias("mean"),
            pl.col("wh").filter(known).max().alias("highest"),
            pl.col("limit").filter(known).mean().alias("limit"),
        )
        .collect(engine="streaming")
        .row(0, named=True)
    )
