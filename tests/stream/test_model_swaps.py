"""Another model goes live while the stream runs: no forecast is lost, none is told twice, each
names the model that was in force where it was made; whoever dies, a replay gives the same bits."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.forecast import artefact
from tests.servers import TestServer
from tests.stream import forecasting
from tests.stream.forecasting import a_state, control_entry, live, registered, rows_of, slot_entry
from tests.stream.test_forecasts import DAY, published
from tests.stream.town import Town, a_town, drained, wait_until
from wattstorm.errors import ArtefactError
from wattstorm.metering import block as blocks
from wattstorm.metering.forecasts import ForecastRow
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.control import MODEL, slots_control
from wattstorm.store.keys import FORECASTS, SLOTS
from wattstorm.store.log import Entry, Log
from wattstorm.store.producer import Producer
from wattstorm.stream.forecasts import REFUSED, Forecasts, first_of

METERS, DAYS, SWAPS = 4, 20, 100
DEATHS = (
    "after commit",
    "before keep",
    "after apply",
    "before write",
    "after name",
    "after replay",
)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with TestServer(tmp_path / "r") as server:
        yield a_town(
            tmp_path,
            server.url,
            METERS,
            METERS,
            stream__slot_minutes=60,
            forecast__snapshot_s=0.3,
        )


def feed(town: Town, producer: Producer, day: int) -> None:
    """A day of every meter, in the shape of Victoria's, when the register knows them."""
    load = forecasting.whole_days()[1][day]
    wh = np.rint(load / 10_000 * 4_000).astype(int)
    slots = np.repeat((19_700 + day - DAY) * 24 + np.arange(24), METERS)
    meters = np.tile(np.arange(METERS), 24)
    producer.send(
        blocks.readings(0, meters, slots, np.repeat(wh, METERS), producer="town", slot_minutes=60)
    )
    producer.flush()


def log_of(connection: Connection) -> list[Entry]:
    log = Log(connection, "wattstorm", name=SLOTS)
    head = log.status(0)
    return log.read(0, head.first, head.tail)


def replayed(root: Path, entries: list[Entry], scalars: dict[str, bytes]) -> dict[Any, ForecastRow]:
    """What a state makes of the log alone that never died and never saw a store."""
    state, found = Forecasts(root, scalars), {}
    for at in range(0, len(entries), 50):
        for entry in entries[at : at + 50]:
            state.apply(entry)
        rows = [
            ForecastRow.from_json(t) for f in state.writes().fields.values() for t in f.values()
        ]
        found.update({(row.issued, row.day, row.label): row for row in rows})
        state.keep()
    return found


@pytest.mark.slow
def test_a_hundred_swaps_and_six_deaths_lose_and_double_nothing(
    town: Town, connection: Connection, running: Callable[..., Any]
) -> None:
    """Readings flow through the local engine, models swap five times a day, the forecasting task
    is killed between two steps: what stands in the store is what the log alone says, to the bit."""
    root = town.directory / "models"
    two = [registered(root, weather=weather) for weather in (True, False)]
    (town.directory / "deaths").write_text("\n".join(DEATHS))
    running(town, workers=1, module="tests.stream.dying:DyingForecasts")
    control, log = slots_control(connection, "wattstorm"), town.log(connection)
    producer = Producer(log, "town", town.partitions, backlog_bytes=64 << 20)
    tail = Log(connection, "wattstorm", name=SLOTS).tails
    for day in range(DAY, DAY + DAYS):
        before = tail([0])[0]
        feed(town, producer, day)
        wait_until(lambda n=before: tail([0])[0] >= n + 24, 30, "a day in the log of slots")
        for swap in range(SWAPS * (day - DAY) // DAYS, SWAPS * (day - DAY + 1) // DAYS):
            assert control.amend(MODEL, lambda _, n=swap: live(two[n % 2], two[1 - n % 2])).position
    store = PartitionStore(connection, "wattstorm", 0, log=SLOTS, consumer=FORECASTS)

    def done() -> bool:
        deaths = (town.directory / "deaths").read_text()
        return drained(town, connection) and store.fence().position == tail([0])[0] and not deaths

    wait_until(done, 90, "all to be forecast, and all deaths died")
    told = assert_as_the_log_says(town, connection, swaps=SWAPS)
    assert len(told) > 2 * 3 * (DAYS - 10)
    assert {row.version for row in told} >= {named.id for named in two}


def assert_as_the_log_says(town: Town, connection: Connection, *, swaps: int) -> list[ForecastRow]:
    """Each forecast of the store names the model that was in force, is counted once, and is what a
    replay of the log alone makes, to the bit."""
    entries, rows = log_of(connection), published(connection)
    said = dict(models_of(entries))
    assert len(said) == swaps
    told = {(row.issued, row.day, row.label): row for row in rows.values()}
    store = PartitionStore(connection, "wattstorm", 0, log=SLOTS, consumer=FORECASTS)
    assert store.audit()["forecasts"] == len(told)
    for row in told.values():
        before = max((at for at in said if at < row.position), default=0)
        if row.label == "nation" and before:
            named = json.loads(said[before])["curves"]["national"]["24"]["live"][0]
            assert (row.model, row.version) == ("mixture", named)
        else:
            assert (row.model, row.version) == ("naive", "")
    scalars = {n: t.encode() for n, t in first_of_town(town).items()}
    assert replayed(town.directory / "models", entries, scalars) == told
    return list(told.values())


def models_of(entries: list[Entry]) -> list[tuple[int, str]]:
    return [(entry.position, entry.data.decode()) for entry in entries if entry.kind == MODEL]


def first_of_town(town: Town) -> dict[str, str]:
    from wattstorm.stream.forecast_rules import ForecastRules

    return first_of(ForecastRules.of(town.settings))


@pytest.fixture
def spoiled(tmp_path: Path) -> tuple[Path, Any, Any]:
    """A registry with a good model and one whose arrays are cut."""
    good, bad = (registered(tmp_path, weather=weather) for weather in (True, False))
    file = tmp_path / "national" / bad.id / artefact.ARRAYS
    shutil.copy(file, tmp_path / "whole")
    file.write_bytes(file.read_bytes()[:-9])
    return tmp_path, good, bad


def test_a_model_that_does_not_open_is_refused_and_the_old_one_goes_on(
    spoiled: tuple[Path, Any, Any],
) -> None:
    """With the reason in the fence; a replay refuses it again though the file is whole by then,
    and the next entry that names it takes it."""
    root, good, bad = spoiled
    entries = [control_entry(1, MODEL, live(good)), control_entry(2, MODEL, live(bad))]
    entries += [slot_entry(3 + h, DAY + h // 24, h % 24) for h in range(24 * 9)]
    state = a_state(root)
    for entry in entries:
        state.apply(entry)
    rows, fence = rows_of(state), state.writes().scalars
    assert {row.version for row in rows if row.label == "nation"} == {good.id}
    why = json.loads(str(fence[REFUSED]))["2"]["national/24"]
    assert "does not match the card's checksum" in why
    (root / "whole").replace(root / "national" / bad.id / artefact.ARRAYS)
    scalars = forecasting.scalars() | {n: str(t).encode() for n, t in fence.items()}
    again = Forecasts(root, scalars)
    for entry in entries:
        again.apply(entry)
    assert [row.to_json() for row in rows_of(again)] == [row.to_json() for row in rows]
    again.apply(control_entry(len(entries) + 1, MODEL, live(bad, good)))
    again.keep()
    assert {seat.live for seat in again.desk.seats.values()} == {bad.id, ""}


def test_a_model_that_was_taken_and_is_gone_stops_the_partition(
    spoiled: tuple[Path, Any, Any],
) -> None:
    """An error of the installation: nothing is forecast by another model than the stream said."""
    root, good, _ = spoiled
    entry = control_entry(1, MODEL, live(good))
    state = a_state(root)
    state.apply(entry)
    scalars = {n: str(t).encode() for n, t in state.writes().scalars.items()}
    shutil.rmtree(root / "national" / good.id)
    with pytest.raises(ArtefactError, match="cannot be read"):
        Forecasts(root, forecasting.scalars() | scalars).apply(entry)


def test_a_rollback_goes_on_with_what_the_model_has_learned_unseen(tmp_path: Path) -> None:
    """Two states hear the same fortnight; one of them had another model live for two days of it.
    After the rollback both forecast the day that begins alike, to the bit."""
    one, other = (registered(tmp_path, weather=weather) for weather in (True, False))
    rows = []
    for swapped in (False, True):
        state, position, last = a_state(tmp_path), 1, []
        state.apply(control_entry(1, MODEL, live(one)))
        for hour in range(24 * 14):
            for at, model in ((24 * 10 + 5, other), (24 * 12 + 5, one)):
                if swapped and hour == at:
                    position += 1
                    state.apply(control_entry(position, MODEL, live(model)))
            position += 1
            state.apply(slot_entry(position, DAY + hour // 24, hour % 24))
            if hour % 24 == 23:
                last = rows_of(state)
                state.keep()
        rows.append({(row.label, row.day): row.wh for row in last if row.issued == row.first})
    assert rows[0] == rows[1]


def test_a_swap_takes_less_than_five_milliseconds(tmp_path: Path) -> None:
    """Of CPU time, of a model that ran as a shadow before; verified at its own entry."""
    one, other = (registered(tmp_path, weather=weather) for weather in (True, False))
    state = a_state(tmp_path)
    state.apply(control_entry(1, MODEL, live(one, other)))
    for hour in range(24 * 9):
        state.apply(slot_entry(2 + hour, DAY + hour // 24, hour % 24))
    state.keep()
    spent = []
    for n in range(21):
        entry = control_entry(300 + n, MODEL, live(*((other, one) if n % 2 else (one, other))))
        begun = time.thread_time()
        state.apply(entry)
        spent.append(time.thread_time() - begun)
        state.keep()
    assert sorted(spent)[10] < 0.005
