"""Forecasts out of the log of slots: issued once, in event time, by the model that is live."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from bolts.forecast import ForecastBolt
from models.forecast.forecaster_state import to_arrays
from models.forecast.price_book import PriceBook
from tests.models.forecast.victoria import whole_days
from tests.servers import TestServer
from tests.stream import forecasting
from tests.stream.forecasting import FIRST, live, registered, slot_at, weather_text
from tests.stream.parts import Part, started
from tests.stream.town import Town, a_town
from wattstorm.errors import DataError
from wattstorm.metering.forecasts import ForecastRow
from wattstorm.readers.results import Results
from wattstorm.store.connection import Connection
from wattstorm.store.control import MODEL, PRICES, WEATHER, slots_control
from wattstorm.store.keys import FORECASTS, SLOTS, log_keys, partition_keys
from wattstorm.store.log import Entry, Log
from wattstorm.store.scripts import Script

DAY = 700


def published(connection: Connection) -> dict[tuple[int, str], ForecastRow]:
    """(slot of issue, label) and the day → row, all that stands in the store."""
    own = partition_keys("wattstorm", 0, SLOTS, FORECASTS).own
    found = {}
    for key in connection.redis.keys(f"{own}:day:*"):
        for field, text in connection.redis.hgetall(key).items():
            row = ForecastRow.from_json(text)
            assert field.decode() == f"{row.issued}:{row.label}"
            found[row.issued, f"{row.label} {row.day - FIRST}"] = row
    return found


def tell(connection: Connection, entries: list[Entry]) -> None:
    """Into the log of slots, as the publisher would."""
    keys = log_keys("wattstorm", 0, SLOTS)
    script = Script("append_control", "add_entry")
    for entry in entries:
        arguments = [entry.kind, entry.data, "-"]
        script.run(connection, "append", [keys.log, keys.head, keys.backlog], arguments)


def forecast(town: Town, bolt: Part | None = None) -> Part:
    """A bolt that has come to the end of the log."""
    bolt = bolt or started(ForecastBolt, town)
    with town.connect() as connection:
        tail = Log(connection, "wattstorm", name=SLOTS).tails([0])[0]
    while not (own := bolt.component.consumer.owned.get(0)) or own.position < tail:
        bolt.tick()
    return bolt


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with TestServer(tmp_path / "r") as server:
        yield a_town(
            tmp_path,
            server.url,
            4,
            4,
            snapshot__every_s=3600.0,
            stream__slot_minutes=60,
            stream__time_zone=forecasting.ZONE,
        )


def hours(first: int, last: int) -> list[Entry]:
    """All hours of the days first … last - 1."""
    return [forecasting.slot_entry(0, day, h) for day in range(first, last) for h in range(24)]


def test_the_bolt_publishes_tomorrow_out_of_the_log(town: Town, connection: Connection) -> None:
    """Twelve days close; at midnight the day that begins and the next, at noon the rest and the
    next; nation and tariffs add up to the Wh; each row says by which model."""
    model = registered(town.directory / "models")
    control = slots_control(connection, "wattstorm")
    control.amend(MODEL, lambda _: live(model))
    control.amend(WEATHER, lambda _: weather_text(DAY - 10, DAY + 12))
    tell(connection, hours(DAY, DAY + 12))
    bolt = forecast(town)
    rows = published(connection)
    midnight, noon = slot_at(DAY + 11), slot_at(DAY + 11, 12)
    of = {at: sorted(name for issued, name in rows if issued == at) for at in (midnight, noon)}
    labels = "nation", *forecasting.SHARES
    names = [f"{label} {day}" for label in labels for day in (DAY + 11, DAY + 12)]
    assert of == {midnight: names, noon: names}
    for at in (midnight, noon):
        for day in (DAY + 11, DAY + 12):
            whole, *parts = (rows[at, f"{x} {day}"] for x in labels)
            assert whole.wh == tuple(map(sum, zip(*(p.wh for p in parts), strict=True)))
            assert len(whole.wh) == (12 if (at, day) == (noon, DAY + 11) else 24)
            assert whole.low < whole.total < whole.high
            assert (whole.model, whole.version) == ("mixture", model.id)
            assert {p.model for p in parts} == {"naive"}
    audit = bolt.component.consumer.owned[0].store.audit()
    assert audit["forecasts"] == len(rows)


def test_amounts_follow_the_prices_and_come_again_when_prices_do(
    town: Town, connection: Connection
) -> None:
    """Without prices none; then in exact cents, of both tariffs and their sum; another price moves
    the amounts of what is still to come, its energy stays, and nothing is forecast twice."""
    control = slots_control(connection, "wattstorm")
    tell(connection, hours(DAY, DAY + 9))
    bolt = forecast(town)
    before = published(connection)
    assert {row.money for row in before.values()} == {None}
    names = [label.partition(":")[2] for label in forecasting.SHARES]
    for price in ("0.20", "0.25"):
        book = PriceBook().with_(
            {"rules": {name: {"kind": "flat", "price": price} for name in names}}
        )
        control.amend(PRICES, lambda _, book=book: book.text())
        forecast(town, bolt)
        after = published(connection)
        assert {k: r.wh for k, r in after.items()} == {k: r.wh for k, r in before.items()}
        ahead = [row for row in after.values() if row.money]
        assert {row.day - FIRST for row in ahead} == {DAY + 9, DAY + 10}
        for row in ahead:
            exact = Decimal(row.total) * Decimal(price) / 1000
            assert abs(Decimal(row.money.point) - exact) <= Decimal("0.02")
            assert Decimal(row.money.low) < exact < Decimal(row.money.high)
            assert row.money.settled
            parts = [after[row.issued, f"{x} {row.day - FIRST}"].money for x in forecasting.SHARES]
            if row.label == "nation":
                assert Decimal(row.money.point) == sum(Decimal(part.point) for part in parts)
    audit = bolt.component.consumer.owned[0].store.audit()
    assert audit["forecasts"] == len(before)
    with Results.open(town.settings) as results:
        said = results.forecast("tariff:peak")
        assert (str(said.day), said.model, len(said)) == ("2013-12-11", "naive", 24)
        assert said.money is not None
        assert said.local_labels()[0] == "2013-12-11T00:00+10:00"
        assert [f.issued[:16] for f in results.forecasts("nation", date(2013, 12, 10))] == [
            *("2013-12-09T00:00", "2013-12-09T12:00", "2013-12-10T00:00")
        ]
        assert set(said.accuracy) == {1, 7, 30} or not said.accuracy
        with pytest.raises(DataError, match="no forecast of nation on 2013-12-20"):
            results.forecast("nation", date(2013, 12, 20))


def test_a_correction_after_it_taught_is_learned_as_if_it_had_come_at_once(tmp_path: Path) -> None:
    """A day closes with nine tenths of its load, and with all of it the next morning: from the next
    midnight on the forecaster stands as if it had been said right at once; else it does not."""
    model = registered(tmp_path)

    def after(first: float, corrected: bool) -> dict[str, bytes]:
        state, wrong = forecasting.a_state(tmp_path), DAY + 11
        state.apply(forecasting.control_entry(1, MODEL, live(model)))
        entries = []
        for day in range(DAY, DAY + 13):
            for hour in range(24):
                wh = whole_days()[1][day, hour] * (first if day == wrong else 1)
                entries.append(forecasting.slot_entry(0, day, hour, wh=wh))
            if day == wrong and corrected:
                entries += hours(wrong, wrong + 1)
        for position, entry in enumerate(entries, start=2):
            state.apply(entry._replace(position=position))
        state.keep()
        (seat,) = [s for h, s in state.desk.seats.items() if h == ("nation", 0, 0)]
        return {name: array.tobytes() for name, array in to_arrays(seat.forecaster).items()}

    right = after(1.0, corrected=False)
    assert after(0.9, corrected=True) == right
    assert after(0.9, corrected=False) != right


def test_neither_r_nor_pygam_nor_statsmodels_is_imported_by_the_bolt(tmp_path: Path) -> None:
    """In a process of its own, which scores a model that was just verified."""
    model = registered(tmp_path)
    program = f"""
import sys
import bolts.forecast
from wattstorm.stream.forecast_models import Models, Named
from pathlib import Path
Models(Path({str(tmp_path)!r}), 24).open("national", Named(*{tuple(model)!r}))
unwanted = {{"rpy2", "pygam", "statsmodels", "holidays", "pandas"}}
assert not unwanted & set(sys.modules), unwanted & set(sys.modules)
assert not [name for name in sys.modules if name.startswith("models.forecast.trainers")]
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
