"""Readings whose interval or stamps are not those of the slots → readings of slots, exactly.

`sum`: parts of a slot are added up, where each of them is there once. `spread`: a reading of
several slots is shared among them, whole Wh each, the first ones one more: the sums over the
reading's time stay exact. `end`: stamps at the end of their interval are moved to its start.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import polars as pl

from wattstorm.files.columns import Wanted
from wattstorm.files.survey import Survey

BEYOND_HEADER: Final = 16
"""In `wrong`: the row has more cells than the header has names."""
INCOMPLETE: Final = 32
"""In `wrong`: not every part of the slot is there once."""
_MINUTE_US: Final = 60_000_000
_FILLED: Final = ("id", "at", "wh", "version")


def regridded(found: Survey, wanted: Wanted) -> Survey:
    """The survey with its frame on the stream's slots, as far as `wanted` says how."""
    frame = found.frame.drop("naive", "fraction")
    minutes, slot = found.minutes or wanted.slot_minutes, wanted.slot_minutes
    if wanted.stamps == "end":
        back = minutes * _MINUTE_US
        frame = frame.with_columns(pl.col("at") - back)
        found = replace(found, first=found.first - back, last=found.last - back)
    if wanted.interval == "sum" and minutes < slot:
        return replace(found, frame=_summed(frame, slot, slot // minutes), ordered=False)
    if wanted.interval == "spread" and minutes > slot:
        return replace(found, frame=_spread(frame, slot, minutes // slot), ordered=False)
    return replace(found, frame=frame)


def _summed(frame: pl.LazyFrame, slot: int, parts: int) -> pl.LazyFrame:
    step = slot * _MINUTE_US
    whole = pl.all_horizontal(pl.col(*_FILLED).is_not_null()) & (
        pl.col("at") % (step // parts) == 0
    )
    order = frame.collect_schema().names()
    start = pl.col("at") - pl.col("at") % step
    complete = (pl.len() == parts) & (pl.col("at").n_unique() == parts)
    slots = (
        frame.filter(whole)
        .unique(["id", "at", "wh", "version"], keep="first", maintain_order=True)
        .group_by("id", start.alias("start"), maintain_order=True)
        .agg(
            pl.exclude("id", "at", "wh", "version", "wrong").first(),
            pl.when(complete).then(pl.col("wh").sum()).alias("wh"),
            pl.col("version").max(),
            pl.when(complete).then(0).otherwise(INCOMPLETE).cast(pl.UInt8).alias("wrong"),
        )
        .rename({"start": "at"})
        .select(order)
    )
    return pl.concat([slots, frame.filter(~whole).select(order)], how="vertical")


def _spread(frame: pl.LazyFrame, slot: int, parts: int) -> pl.LazyFrame:
    i = pl.int_range(pl.len(), dtype=pl.Int64) % parts
    share = pl.col("wh") // parts
    more = pl.col("wh") - share * parts
    return frame.select(pl.all().repeat_by(parts).explode()).with_columns(
        pl.col("at") + i * slot * _MINUTE_US,
        share + (i < more).cast(pl.Int64),
    )
