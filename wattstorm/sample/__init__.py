"""Real readings of twenty homes and a register for them, carried for the demo and the tests."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent

READINGS = _HERE / "sgsc_20_homes.parquet"
"""meter: int64, 14 digits; ts_utc: timestamp in UTC; kwh: float32, energy of the half hour."""

REGISTER = _HERE / "register.csv"
"""external_id, tariff, region, contracted_power_va, producer, valid_from: one row a home."""

TIME_ZONE = "Australia/Sydney"
"""Where the homes are: their local days have 48 half hours, 7 April 2013 has 50."""
