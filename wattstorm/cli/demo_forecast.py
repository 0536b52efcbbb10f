"""The demo's forecasts: models of its town, weather as it was foretold, prices; and tomorrow."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

import numpy as np

from models.forecast import artefact
from models.forecast.price_book import PriceBook
from models.forecast.registry import Registry
from models.forecast.scaling import scaled
from models.forecast.weather_book import WeatherBook
from wattstorm.cli.output import console, energy
from wattstorm.errors import DataError
from wattstorm.metering.slots import LocalCalendar
from wattstorm.readers.results import Results
from wattstorm.register.register import Register
from wattstorm.sample import forecast as sample
from wattstorm.settings import Settings
from wattstorm.store.connection import Connection
from wattstorm.store.control import MODEL, PRICES, WEATHER, slots_control
from wattstorm.stream.forecast_models import NATIONAL, Named, Place, Stages, table_text

PATIENCE_S: Final = 30.0
"""How long it is waited for tomorrow once all sums are published."""


def prepare(
    settings: Settings,
    connection: Connection,
    register: Register,
    calendar: LocalCalendar,
    days: Sequence[date],
    celsius: Sequence[float],
) -> None:
    """Models, weather and prices into the log of slots, before its first slot.

    celsius: daily means of `days` and of the day after. Each day's and the next one's are known
    from the day's midnight on.
    """
    control = slots_control(connection, settings.store.prefix)
    models = _models(settings, register)
    dates = [*days, days[-1] + timedelta(days=1)]
    vintages = []
    for i, day in enumerate(days):
        issued = int(calendar.grid.start_at(calendar.day_slots(day).start))
        vintages.append(sample.weather(dates[i : i + 2], celsius[i : i + 2], issued))
    news = tomllib.loads(sample.PRICES.read_text("utf-8"))
    prices = PriceBook().with_(json.loads(json.dumps(news, default=str)))
    control.amend(MODEL, lambda _: models)
    control.amend(WEATHER, lambda _: WeatherBook().with_(vintages).text())
    control.amend(PRICES, lambda _: prices.text())


def _models(settings: Settings, register: Register) -> str:
    """The model that comes with wattstorm, at the size of the nation and of each tariff, as the
    registry and the log have it."""
    shipped = artefact.load(sample.PLACE)
    registry = Registry(settings.data.directory / "models")
    shares = {NATIONAL: 1.0, **shipped.card["shares"]}
    homes = register.count / sample.FIRST_HOMES
    table: dict[Place, Stages] = {}
    for curve in (NATIONAL, *sorted(register.tariffs)):
        if curve not in shares:
            continue
        told: dict[str, Any] = {"scaled": shares[curve] * homes}
        entry = registry.add(curve, scaled(shipped, shares[curve] * homes), told)
        registry.promote(entry.id, "live", "wattstorm demo", str(shipped.card["training"]["last"]))
        named = Named(entry.id, artefact.artefact_id(entry.directory))
        table[curve, shipped.known] = Stages(live=named)
    return table_text(table)


class Tomorrow:
    """The forecast of the day after the demo's last, once it is there."""

    def __init__(self, results: Results, day: date) -> None:
        self.results, self.day = results, day
        self._since = np.inf

    def __call__(self) -> bool:
        """Whether it is there, or was waited for long enough; asked once all sums are published."""
        self._since = min(self._since, time.monotonic())
        try:
            self.results.forecast("nation", self.day)
        except DataError:
            return time.monotonic() - self._since > PATIENCE_S
        return True

    def show(self) -> None:
        """Wh and € with their intervals, and how good such forecasts were."""
        out = console()
        try:
            said = self.results.forecast("nation", self.day)
        except DataError as error:
            out.print(f"tomorrow   {error}\n", markup=False)
            return
        out.print(
            f"tomorrow   {self.day}: {energy(said.total_wh)}, 90 % between {energy(said.low_wh)} "
            f"and {energy(said.high_wh)}; issued {said.issued} by {said.model} {said.version}",
            soft_wrap=True,
        )
        if said.money:
            out.print(
                f"           {said.money.point} €, 90 % between {said.money.low} € and "
                f"{said.money.high} €; prices {said.money.version[:12]} …",
                soft_wrap=True,
            )
        for span, accuracy in sorted(said.accuracy.items()):
            out.print(
                f"           last {span} d: {accuracy.ours:.2f} % off, the week before "
                f"{accuracy.naive:.2f} %",
                soft_wrap=True,
            )
        out.print()
