"""Forecasters at work: for each curve and horizon the live one, and those that learn unseen.

A seat is one thing that is forecast again and again: a curve, the place of the day at which it is
issued, and how many days ahead. Beside the live model sit the shadow and the one that
was live before: all of them forecast and learn, so a swap changes a name, and a rollback goes on
with what the former one has learned meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from models.forecast.calendar import Calendar, Floats
from models.forecast.fallback import NAIVE, naive_set
from models.forecast.forecaster import Forecaster
from models.forecast.forecaster_state import carried, remembered, restore, to_arrays
from models.forecast.warm import begun
from wattstorm.stream.forecast_models import Models, Named, Place, Stages, curve_of

NO_MODEL: Final = ""
"""The version of the naive forecast."""
BASES: Final = 3
"""Days whose corrections can still be learned."""
Journal = list[Callable[[], object]]
"""How to undo what was done since the last keep, in its order."""


class Horizon(NamedTuple):
    """label: of the curve; place: of the issue time in its day; lead: days ahead."""

    label: str
    place: int
    lead: int

    def places(self, per_day: int) -> list[Place]:
        """Where a model for it is looked for, the best first. All of the eve is known to what is
        issued for the day that begins; else what is not known is stood in for."""
        curve = curve_of(self.label)
        own = [(curve, self.place)] if self.lead and self.place else []
        return [*own, (curve, per_day)]


class Base(NamedTuple):
    """The forecasters of a seat before a target day was forecast: by version their arrays."""

    day: int
    states: dict[str, dict[str, Any]]


@dataclass
class Seat:
    """See the module. learners: by version, an artefact's id; of: the place its models are of."""

    horizon: Horizon
    learners: dict[str, Forecaster] = field(default_factory=dict)
    versions: dict[str, Named] = field(default_factory=dict)
    of: Place | None = None
    live: str = NO_MODEL
    shadow: str = NO_MODEL
    former: str = NO_MODEL
    bases: tuple[Base, ...] = ()
    corrected: int | None = None
    """The earliest day of which a slot was corrected that had taught already."""

    @property
    def forecaster(self) -> Forecaster:
        return self.learners[self.live]

    def swap(self, of: Place | None, stages: Stages, models: Models, journal: Journal) -> None:
        """Other models from here on. They are verified already."""
        before = dict(vars(self))
        journal.append(lambda: vars(self).update(before))
        old = self.learners.get(self.live)
        if old is not None and stages.live and stages.live.id != self.live:
            self.former = self.live
        elif not stages.live:
            self.former = NO_MODEL
        learners, versions = dict(self.learners), dict(self.versions)
        for named in stages.named:
            versions[named.id] = named
            if named.id not in learners:
                assert of is not None
                learners[named.id] = new = begun(models.open(of[0], named))
                # a model that starts warm has weights of its own, as new as its training
                cold = not new.models.warm
                if cold and old is not None and old.models.slots == new.models.slots:
                    carried(old, new)
        self.of, self.live = of, stages.live.id if stages.live else NO_MODEL
        self.shadow = stages.shadow.id if stages.shadow else NO_MODEL
        sitting = {self.live, self.shadow, self.former} - {NO_MODEL if stages.live else None}
        self.learners = {v: learners[v] for v in learners if v in sitting}
        self.versions = {v: versions[v] for v in versions if v in sitting}

    def without_model(self, sd: Floats, calendar: Calendar, journal: Journal) -> None:
        """The naive forecast sits here as long as no model is live."""
        before = self.learners
        journal.append(lambda: vars(self).update(learners=before))
        naive = Forecaster(naive_set(sd, calendar, len(sd)))
        self.learners = {**self.learners, NO_MODEL: naive}

    def learn(self, day: int, load: Floats, journal: Journal) -> None:
        """Closed slots of a day, float64[S], NaN unknown; those learned already are not again."""
        for forecaster in self.learners.values():
            record = forecaster.days.get(day)
            if record is None:
                continue
            new = np.isfinite(load) & np.isnan(record.load)
            if not new.any():
                continue
            part = slice(int(new.argmax()), len(new) - int(new[::-1].argmax()))
            journal.append(remembered(forecaster, day, part))
            forecaster.learn(day, load)

    def forecast(
        self, day: int, values: Callable[[Forecaster], dict[str, Floats]], journal: Journal
    ) -> Any:
        """What the live one says; the others say it to themselves."""
        said = None
        for version, forecaster in self.learners.items():
            before = dict(forecaster.days)
            journal.append(partial(setattr, forecaster, "days", before))
            answer = forecaster.forecast(day, values(forecaster))
            said = answer if version == self.live else said
        return said

    def set(self, journal: Journal, **what: Any) -> None:
        before = {name: getattr(self, name) for name in what}
        journal.append(lambda: vars(self).update(before))
        vars(self).update(what)

    def remember(self, day: int, journal: Journal) -> None:
        """As the live one stands before `day` is forecast, for a correction that comes later. The
        others keep what they learned: a base takes as much memory as a forecaster."""
        states = {self.live: to_arrays(self.forecaster)}
        self.set(journal, bases=(*self.bases, Base(day, states))[-BASES:])

    def again(
        self,
        base: Base,
        until: int,
        learn: Callable[[Forecaster, int], None],
        values: Callable[[Forecaster, int], dict[str, Floats]],
        journal: Journal,
    ) -> None:
        """From a day's base on once more: learn(forecaster, day) what was known when `day` was
        forecast, values(forecaster, day) what it was forecast with."""
        learners = dict(self.learners)
        for version, old in self.learners.items():
            if version not in base.states:
                continue  # unseen, or it came later
            learners[version] = new = Forecaster(old.models)
            restore(new, base.states[version])
            for day in range(base.day, until):
                if day in old.days:
                    learn(new, day)
                    new.forecast(day, values(new, day))
            learn(new, until)
        self.set(journal, learners=learners)

    @property
    def name(self) -> str:
        return "mixture" if self.live else NAIVE
