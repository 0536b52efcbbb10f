"""What is drawn is a function of (seed, meter, day), and keeps each home's own scale."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator import Driver, Generator, Homes, Layers, Model, from_temperatures
from generator.model.artefact import ENGINES
from generator.model.calibrate import by_home, mean_curves
from generator.model.habits import kind_of
from wattstorm.errors import UsageError
from wattstorm.metering.slots import day_number

DAY = day_number(date(2013, 5, 6))
both_engines = pytest.mark.parametrize("engine", ENGINES)


@both_engines
def test_shards_of_meters_and_days_in_any_order_are_the_same_bytes(
    model: Model, engine: str
) -> None:
    meters, days = np.arange(1000, 1210), np.arange(DAY, DAY + 9)
    whole = Generator(model, seed=3, engine=engine).curves(meters, days)
    for count in (2, 7):
        for part in reversed(np.array_split(np.arange(meters.size), count)):
            again = Generator(model, seed=3, engine=engine, threads=2).curves(meters[part], days)
            assert np.array_equal(again, whole[part])
    backwards = Generator(model, seed=3, engine=engine).curves(meters[::-1], days[::-1])
    assert np.array_equal(backwards[::-1, ::-1], whole)


@both_engines
@settings(max_examples=25, deadline=None)
@given(meter=st.integers(0, 10**12), offset=st.integers(-4000, 20_000), seed=st.integers(0, 99))
def test_any_meter_and_day_can_be_drawn_alone(
    model: Model, engine: str, meter: int, offset: int, seed: int
) -> None:
    drawn = Generator(model, seed=seed, engine=engine)
    days = np.arange(DAY + offset - 2, DAY + offset + 3)
    run = drawn.curves([meter], days)
    assert np.array_equal(drawn.curves([meter], days[2:3])[0, 0], run[0, 2])


@both_engines
def test_seeds_meters_and_days_differ(model: Model, engine: str) -> None:
    a = Generator(model, seed=1, engine=engine).curves(np.arange(300), [DAY, DAY + 1])
    b = Generator(model, seed=2, engine=engine).curves(np.arange(300), [DAY, DAY + 1])
    assert not np.array_equal(a, b)
    lively = a[:, 0].std(axis=1) > 20
    assert len(np.unique(a[lively, 0], axis=0)) == lively.sum()
    assert (a[lively, 0] != a[lively, 1]).any(axis=1).all()


@both_engines
def test_homes_keep_their_mean_and_their_peak(model: Model, homes: Homes, engine: str) -> None:
    copies = 40
    meters = np.tile(np.arange(model.homes), copies)
    numbers = np.arange(model.homes * copies)
    drawn = Generator(model, engine=engine, twins=True).curves(numbers, homes.days.astype(np.int64))
    wh = drawn.astype(np.float64)
    for home in range(model.homes):
        present = homes.present()[home]
        real = homes.wh[home, present]
        ours = wh[meters == home][:, present]
        if model.off[model.rows_of[home], 0].max() > 0.1:
            continue  # a home that is away for weeks: forty copies are not enough to say
        assert ours.mean() == pytest.approx(real.mean(), rel=0.1), homes.ids[home]
        assert np.quantile(ours, 0.99) == pytest.approx(np.quantile(real, 0.99), rel=0.12)


@both_engines
def test_new_homes_have_the_mean_curve_of_the_training_homes(
    model: Model, homes: Homes, engine: str
) -> None:
    days = homes.days.astype(np.int64)
    generator = Generator(model, seed=11, engine=engine)
    drawn = generator.curves(np.arange(4000), days)
    homes_of = generator.people(np.arange(4000)).homes
    want = mean_curves(model, homes)
    for kind in (0, 1):
        gap = by_home(drawn[:, kind_of(days) == kind].mean(axis=1), homes_of) / want[kind] - 1
        assert np.abs(gap).max() < 0.03
        assert np.abs(gap).mean() < 0.015


def test_days_of_46_and_50_half_hours_keep_every_slot_and_its_energy(model: Model) -> None:
    drawn = Generator(model, time_zone="Europe/Paris")
    meters = np.arange(500)
    for day, slots in ((date(2024, 3, 31), 46), (date(2024, 6, 1), 48), (date(2024, 10, 27), 50)):
        local = drawn.local_day(meters, day).astype(np.int64)
        clock = drawn.curves(meters, [day])[:, 0].astype(np.int64)
        assert local.shape == (500, slots)
        # Two o'clock to three is left out in spring and comes twice in autumn; nothing else moves.
        sign = {46: -1, 48: 0, 50: 1}[slots]
        assert np.array_equal(
            local.sum(axis=1), clock.sum(axis=1) + sign * clock[:, 4:6].sum(axis=1)
        )
        first = drawn.calendar.day_slots(day).start
        for place in (0, 4, slots - 1):
            assert np.array_equal(drawn.slot_wh(meters, first + place), local[:, place])


def test_the_common_driver_moves_all_homes(model: Model) -> None:
    days = np.arange(DAY, DAY + 2)
    cold = Driver(known={int(d): 2.5 for d in range(DAY - 2, DAY + 4)})
    mild = Driver(known={int(d): -2.5 for d in range(DAY - 2, DAY + 4)})
    high = Generator(model, driver=cold).curves(np.arange(3000), days).mean()
    low = Generator(model, driver=mild).curves(np.arange(3000), days).mean()
    assert high > 1.05 * low


def test_a_cold_spell_raises_the_driver() -> None:
    days = np.arange(DAY, DAY + 60)
    celsius = np.full(60, 8.0)
    celsius[30:34] = -4
    driver = from_temperatures(days, celsius)
    assert driver.values([DAY + 31])[0] > 1.5
    assert driver.values([DAY + 10])[0] < 0.5
    with pytest.raises(UsageError, match="consecutive"):
        from_temperatures(days[::2], celsius[::2])


def test_layers_shift_wh_for_wh_and_solar_homes_export(model: Model) -> None:
    meters, days = np.arange(400), np.arange(DAY, DAY + 3)
    wh = Generator(model).curves(meters, days)
    shift = Layers(off_peak=1.0, water_heater=0.0).apply(wh, 1, meters, days)
    assert np.array_equal(shift.sum(axis=2), wh.astype(np.int64).sum(axis=2))
    assert not np.array_equal(shift, wh)
    assert Layers(solar=1.0).apply(wh, 1, meters, days).min() < 0
    water = Layers(off_peak=1.0, water_heater=1.0, shifted=0.0).apply(wh, 1, meters, days)
    extra = (water - wh).sum(axis=2)
    assert extra.min() > 500
    assert extra.max() < 20_000
    part = Layers(off_peak=0.5, car=0.5).apply(wh[7:9], 1, meters[7:9], days)
    assert np.array_equal(part, Layers(off_peak=0.5, car=0.5).apply(wh, 1, meters, days)[7:9])


def test_what_cannot_be_meant_is_refused(model: Model) -> None:
    with pytest.raises(UsageError, match="engine"):
        Generator(model, engine="wavelet")
    with pytest.raises(UsageError, match="meter -1"):
        Generator(model).curves([-1], [DAY])
    with pytest.raises(UsageError, match="share"):
        Layers(car=1.2)


def test_a_month_runs_over_the_year_without_a_break(model: Model) -> None:
    days = [date(2024, 12, 15) + timedelta(days=i) for i in range(40)]
    wh = Generator(model).curves(np.arange(50), days)
    assert wh.shape == (50, 40, 48)
    assert (wh.mean(axis=(0, 2)) > 0).all()
