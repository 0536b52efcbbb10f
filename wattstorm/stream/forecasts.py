"""The state of the consumer `forecasts`: entries of the log `slots` in, forecasts out.

The work is `forecast_desk`'s; here are the two ends of it. Slots, rules, models, weather and prices
are entries of one log (docs/adr/0012-inputs.md), so a replay makes the same forecasts to the bit.

A model is opened at its entry: checksum, schema, reference rows. One that fails is refused, and the
old one goes on. The verdict is committed with the fence, and a replay keeps to it: what was
refused stays refused even if the file has been mended since, and what was taken and cannot be
opened any more is an error of the installation.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from models.forecast.price_book import PriceBook
from models.forecast.weather_book import WeatherBook
from wattstorm.errors import ArtefactError, DataError, SnapshotError
from wattstorm.metering.results import SlotChange
from wattstorm.store.control import MODEL, PRICES, RULES, WEATHER
from wattstorm.store.deadletters import DeadLetter
from wattstorm.store.forecasts import NEWEST, day_key, row_field
from wattstorm.store.log import Entry
from wattstorm.store.snapshots import Arrays
from wattstorm.store.writes import Counters, Writes
from wattstorm.stream import forecast_snapshot
from wattstorm.stream.forecast_desk import Desk
from wattstorm.stream.forecast_models import Models, Place, Stages, parse_table, table_text
from wattstorm.stream.forecast_rules import ForecastRules
from wattstorm.stream.state import Scalars

SLOT: Final = "slot"
REFUSED: Final = "refused"
"""In the fence: by position of a `model` entry, what of it was refused, and why."""
JUDGED: Final = "judged"
"""In the fence: position of the last `model` entry."""
REFUSALS: Final = 20
_log = logging.getLogger(__name__)


def first_of(rules: ForecastRules) -> dict[str, str]:
    """Scalars of a fence that nobody had before."""
    return {RULES: str(rules), f"first:{RULES}": str(rules)}


class Forecasts:
    """See `stream.state.State`. root: of the model artefacts; expire_days: that rows stay, 0 for
    ever; scalars: the fence's, when the partition was taken."""

    def __init__(self, root: Path, scalars: Scalars, expire_days: int = 0) -> None:
        self.number, self.position = 0, 0
        self.root, self.expire_days = root, expire_days
        self._begin(scalars, f"first:{RULES}")
        self._recall(scalars)
        self._kept = 0, self.said, self.judged, self.refused
        self._dead: list[DeadLetter] = []
        self._controlled = False

    def _begin(self, scalars: Scalars, rules: str) -> None:
        self.said = {RULES: scalars[rules].decode(), MODEL: "", WEATHER: "", PRICES: ""}
        governing = ForecastRules.parse(self.said[RULES])
        self.desk = Desk(governing, Models(self.root, governing.per_day))

    def _recall(self, scalars: Scalars) -> None:
        """Verdicts on models that the fence has passed."""
        self.judged = int(scalars.get(JUDGED, b"0"))
        found = json.loads(scalars.get(REFUSED, b"{}"))
        self.refused: dict[int, dict[str, str]] = {int(p): why for p, why in found.items()}

    # --- entries

    def apply(self, entry: Entry) -> None:
        try:
            if entry.kind == SLOT:
                change = SlotChange.from_json(entry.data)
                if change.channel == 0:
                    self.desk.take(change)
            else:
                self._control(entry.kind, entry.data.decode(), entry.position)
        except (DataError, UnicodeDecodeError) as error:
            if isinstance(error, ArtefactError):
                raise
            self.refuse(entry, "control" if entry.kind else "kind", str(error))
            return
        for issue in self.desk.due():
            self.desk.issue(issue, entry.position)
        self.position = entry.position

    def _control(self, kind: str, text: str, position: int) -> None:
        """In force for all that follows."""
        if kind == RULES:
            self.desk.govern(ForecastRules.parse(text))
        elif kind == MODEL:
            text = self._model(parse_table(text), position)
        elif kind == WEATHER:
            self.desk.tell(weather=WeatherBook.of(text))
        elif kind == PRICES:
            self.desk.tell(prices=PriceBook.of(text))
            self.desk.price_again(position)
        else:
            raise DataError(f"an entry of kind {kind!r} is not known")
        self.said = {**self.said, kind: text}
        self._controlled = True

    def _model(self, wanted: Mapping[Place, Stages], position: int) -> str:
        """Swap to what of it can be used; the text of what is in force now."""
        table, held = dict(wanted), self.desk.table
        judged = position <= self.judged
        reasons = dict(self.refused.get(position, {})) if judged else {}
        for place, stages in wanted.items():
            name = _name(place)
            if stages == held.get(place):
                continue
            try:
                for named in () if name in reasons else stages.named:
                    self.desk.models.open(place[0], named)
            except ArtefactError as error:
                if judged:
                    raise  # it was taken once: other forecasts than the stream's would follow
                reasons[name] = error.what
                _log.error("models of %s are refused: %s", name, error)
            if name in reasons:
                _keep_old(table, held, place)
        if not judged:
            self.judged = position
            if reasons:
                self.refused = dict([*self.refused.items(), (position, reasons)][-REFUSALS:])
        self.desk.swap(table)
        self.desk.counted["model_changes"] += 1
        self.desk.counted["models_refused"] += len(reasons)
        return table_text(table)

    def refuse(self, entry: Entry, reason: str, what: str) -> None:
        self.position = entry.position
        self._dead.append(DeadLetter(reason, entry.position, 0, entry.data, what))

    # --- batches

    def writes(self) -> Writes:
        self.desk.learn()
        fields: dict[str, dict[str, str]] = {}
        for lead, row in self.desk.rows:
            text = row.to_json()
            fields.setdefault(day_key(row.day), {})[row_field(row)] = text
            fields.setdefault(NEWEST, {})[f"{lead}:{row.label}"] = text
        counts = {**self.desk.counted, "refused": len(self._dead)}
        lifetime = self.expire_days * 86_400
        days = [key for key in fields if key != NEWEST]
        scalars = {**self.said, JUDGED: str(self.judged), REFUSED: json.dumps(self.refused)}
        return Writes(
            fields=fields,
            lifetimes=dict.fromkeys(days, lifetime) if lifetime else {},
            counters=[Counters("audit", counts)],
            dead=self._dead,
            scalars=scalars if self._controlled else {},
        )

    def keep(self) -> None:
        self.desk.keep()
        self._kept = self.position, self.said, self.judged, self.refused
        self._settle()

    def undo(self) -> None:
        self.desk.undo()
        self.position, self.said, self.judged, self.refused = self._kept
        self._settle()

    def _settle(self) -> None:
        self._dead, self._controlled = [], False

    # --- where it begins

    def start_after(self, position: int, scalars: Scalars) -> None:
        """Loads and what was learned are lost; models, weather and prices are not."""
        self._begin(scalars, RULES)
        self._recall(scalars)
        for kind in (MODEL, WEATHER, PRICES):
            text = scalars.get(kind, b"").decode()
            self.said[kind] = text
            if kind == MODEL:
                self.desk.table = parse_table(text)
        self.desk.weather = WeatherBook.of(self.said[WEATHER])
        self.desk.prices = PriceBook.of(self.said[PRICES])
        self.position = position
        self.keep()

    def resume(self, scalars: Scalars) -> None:
        pass

    def snapshot(self) -> tuple[Arrays, dict[str, Any]]:
        arrays, header = forecast_snapshot.taken(self.desk)
        return arrays, {**header, "position": self.position, "in_force": self.said}

    def unsaved_rows(self) -> set[str]:
        return set()

    def restore(self, arrays: Arrays, header: dict[str, Any]) -> None:
        if header.get("schema") != forecast_snapshot.SCHEMA:
            what = f"schema {header.get('schema')}, this wattstorm reads {forecast_snapshot.SCHEMA}"
            raise SnapshotError(what, "the log is replayed instead")
        self.said = dict(header["in_force"])
        rules = ForecastRules.parse(self.said[RULES])
        self.desk = Desk(rules, Models(self.root, rules.per_day), parse_table(self.said[MODEL]))
        self.desk.weather = WeatherBook.of(self.said[WEATHER])
        self.desk.prices = PriceBook.of(self.said[PRICES])
        forecast_snapshot.put_back(self.desk, arrays, header)
        self.position = header["position"]
        self.keep()


def _name(place: Place) -> str:
    return f"{place[0]}/{place[1]}"


def _keep_old(table: dict[Place, Stages], held: Mapping[Place, Stages], place: Place) -> None:
    if place in held:
        table[place] = held[place]
    else:
        del table[place]
