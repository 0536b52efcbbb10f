"""A small town with its register on a real store, and what must come out of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from generator.feed import ledger
from generator.feed.faults import Faults
from generator.feed.producers import Sending
from generator.feed.publish import Job
from generator.town.outputs import days_from
from generator.town.register import write_register
from generator.town.town import Town
from tests.stream.town import Town as Stream
from wattstorm.files.meters import build_register
from wattstorm.metering.aggregates import SlotSums
from wattstorm.settings import Settings
from wattstorm.store import closing
from wattstorm.store.connection import Connection
from wattstorm.store.results import ResultStore

MANY = Faults(
    gap=0.01,
    gap_day=0.02,
    late=0.03,
    too_late=0.01,
    doubled=0.02,
    corrected=0.02,
    conflict=0.01,
    spike=0.005,
    stuck=0.03,
    clock=0.05,
    dead=0.1,
    silent=0.3,
    concentrator=40,
)
ONE_OF_ALL = days_from(date(2025, 3, 26), date(2025, 4, 1))
"""Seven days with a clock change, 30 March."""


def a_stream(
    directory: Path, url: str, town: Town, meters: int, size: int, **options: Any
) -> Stream:
    """The register of a town built, and a store for it."""
    source = directory / "meters.parquet"
    write_register(town, meters, source)
    register = build_register([source], directory / "register", partition_size=size)
    named = {name.replace("__", "."): value for name, value in options.items()}
    return Stream(directory, url, register, {"stream.time_zone": town.time_zone, **named})


def sending(stream: Stream, producers: int = 1, name: str = "") -> Sending:
    directory = stream.directory / "register"
    return Sending(stream.settings, stream.url, directory, producers, name)


def settings_with(stream: Stream, **options: Any) -> Settings:
    """The stream's settings with others on top, by "section.name"."""
    return replace(stream, options={**stream.options, **options}).settings


def entries(stream: Stream) -> list[list[bytes]]:
    """The blocks of each partition's log."""
    with stream.connect() as connection:
        log = stream.log(connection)
        tails = log.tails(stream.partitions)
        return [
            [entry.data for entry in log.read(p, 1, tail)] if tail else []
            for p, tail in zip(stream.partitions, tails, strict=True)
        ]


def committed(stream: Stream, connection: Connection) -> dict[int, SlotSums]:
    """Slot → sums by class."""
    merged: dict[int, SlotSums] = {}
    results = ResultStore(connection, stream.settings.store.prefix)
    for (_, slot), sums in closing.committed_sums(results, stream.partitions).items():
        merged[slot] = merged[slot] + sums if slot in merged else sums
    return merged


def assert_true(stream: Stream, job: Job, counts: dict[str, int]) -> None:
    """Sums of every slot and class, and the counts, against truth and ledger."""
    assert job.ledger is not None
    told = ledger.truth(job.town, stream.register, job.days, ledger.read(job.ledger))
    with stream.connect() as connection:
        sums = committed(stream, connection)
    for i in range(len(told.wh)):
        classes = told.wh.shape[1]
        if told.readings[i].any():
            mine = sums[told.first + i].widened(classes)
            assert np.array_equal(mine.wh, told.wh[i]), i
            assert np.array_equal(mine.readings, told.readings[i]), i
    assert set(sums) <= set(range(told.first, told.first + len(told.wh)))
    assert {name: counts.get(name, 0) for name in told.counts} == told.counts
    assert counts["received"] == told.received
