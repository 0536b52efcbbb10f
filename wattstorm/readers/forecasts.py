"""The noun "forecasts": what is said of a curve's days to come, and what was said of those past."""

from __future__ import annotations

from datetime import date

from wattstorm.errors import DataError
from wattstorm.metering.slots import day_number
from wattstorm.readers.forecast import Forecast
from wattstorm.readers.reader import Reader
from wattstorm.store.forecasts import ForecastStore


class ForecastReader(Reader):
    """One round trip each, once the client knows the store."""

    def forecast(self, label: str = "nation", day: date | None = None) -> Forecast:
        """What was said last of a curve's local day; None: of tomorrow, or of today before a
        tomorrow was forecast. label: "nation", "tariff:base_6". DataError if nothing was."""
        if day is not None:
            return self.forecasts(label, day)[-1]
        self._check_labels([label])
        rows = ForecastStore(self.connection, self.settings.store.prefix).newest(label)
        if not rows:
            raise self._nothing(label)
        return Forecast.of(max(rows, key=lambda row: (row.day, row.issued)), self.calendar)

    def forecasts(self, label: str, day: date) -> list[Forecast]:
        """All that was said of a curve's local day, in order of issue; DataError if nothing was."""
        self._check_labels([label])
        store = ForecastStore(self.connection, self.settings.store.prefix)
        rows = store.of_day(label, day_number(day))
        if not rows:
            raise self._nothing(f"{label} on {day}")
        return [Forecast.of(row, self.calendar) for row in rows]

    def _nothing(self, what: str) -> DataError:
        return DataError(
            f"there is no forecast of {what}",
            "wattstorm run: nation and tariffs are forecast once a week of slots has closed",
        )
