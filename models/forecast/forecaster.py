"""One curve's forecaster: experts, their filters, the mixture and the intervals, day by day.

    issue time of day D:  learn(D-1 ...), then forecast(D, covariates) -> Forecast

State is a function of what was learned, in order, and of the artefact; a slot of a day is learned
once. Nothing here knows where covariates or readings come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.forecast.calendar import Flags, Floats
from models.forecast.formula import Member
from models.forecast.gate import Gate
from models.forecast.intervals import Intervals
from models.forecast.kalman import Filters
from models.forecast.mixture import Mixture
from models.forecast.model_set import ModelSet, Static

MEMORY = 9
"""Days whose forecasts are remembered: what comes later is for a re-run from a snapshot."""


@dataclass(frozen=True)
class Forecast:
    """point: float64[S]. quantiles: float64[L, S]. paths: float64[n, S], days that may come.
    experts: float64[K, S], NaN asleep. awake: bool[K, S], those that the mixture heard."""

    point: Floats
    quantiles: Floats
    paths: Floats
    experts: Floats
    awake: Flags


@dataclass
class Record:
    """What was said of a day, and what came: h and static per group, load NaN until learned."""

    h: list[Floats]
    static: list[Floats]
    experts: Floats
    awake: Flags
    point: Floats
    scale: Floats
    load: Floats


@dataclass(frozen=True)
class Group:
    """A family's adapted members: one filter each. at: their places among the experts."""

    family: str
    model: Static
    at: list[int]
    filters: Filters


class Forecaster:
    """The members of a model set, learning."""

    def __init__(self, models: ModelSet) -> None:
        self.models = models
        self.members = models.present
        self.groups = [_group(models, self.members, f) for f in models.families]
        self.plain = [(i, m.family) for i, m in enumerate(self.members) if m.q is None]
        sd = np.min([m.sd for m in models.families.values()], axis=0)
        self._sd = sd
        self.mixture = Mixture.start(len(self.members), models.slots)
        self.intervals = Intervals.start(sd)
        self.gate = Gate.start(len(self.members), models.slots)
        self.days: dict[int, Record] = {}

    def forecast(self, day: int, values: Mapping[str, Floats]) -> Forecast:
        """The day's forecast; values: covariates by name, float64[S]. Remembered until learned."""
        experts = np.full((len(self.members), self.models.slots), np.nan)
        statics: list[Floats] = []
        hs: list[Floats] = []
        for group in self.groups:
            effects = group.model.effects(group.model.gather(values))
            static = group.model.constant + effects.sum(axis=-1)
            recent = self._missed_lately(day, len(statics))
            h = regressors(group.model, effects, recent)
            experts[group.at] = group.filters.predict(h) * group.model.sd
            statics.append(static)
            hs.append(h)
        static_of = {g.family: s for g, s in zip(self.groups, statics, strict=True)}
        for i, family in self.plain:
            experts[i] = static_of[family] if family in static_of else values[family]
        awake = self.gate.awake(experts, [r.load for r in self.days.values()])
        point = self._mixed(experts, awake)
        scale = self.intervals.scale()
        nothing = np.full(self.models.slots, np.nan)
        self.days[day] = Record(hs, statics, experts, awake, point, scale, nothing)
        for old in sorted(self.days)[:-MEMORY]:
            del self.days[old]
        quantiles, paths = self.intervals.quantiles(point), self.intervals.drawn(point)
        return Forecast(point, quantiles, paths, experts, awake)

    def learn(self, day: int, load: Floats) -> None:
        """Loads of a day that was forecast, float64[S]; NaN: not known yet. Once for each slot."""
        record = self.days.get(day)
        if record is None:
            return
        new = np.isfinite(load) & np.isnan(record.load)
        if not new.any():
            return
        first, last = int(new.argmax()), len(new) - int(new[::-1].argmax())
        part = slice(first, last)
        y = np.where(new, load, np.nan)[part]
        for group, h in zip(self.groups, record.h, strict=True):
            group.filters.update(h[part], y / group.model.sd[part], part)
        experts, awake = record.experts[:, part], record.awake[:, part]
        self.mixture.update(experts.T.copy(), y, awake.T.copy(), self._sd[part], part)
        self.gate.learn(experts, y, part)
        self.intervals.update(y - record.point[part], record.scale[part], part)
        record.load[new] = load[new]
        if np.isfinite(record.load).all():
            self.intervals.new_day(record.load - record.point, record.scale)

    def _mixed(self, experts: Floats, awake: Flags) -> Floats:
        """The mixture's answer; where nobody is awake, the last known day's."""
        point = self.mixture.answer(experts.T.copy(), awake.T.copy())
        silent = ~awake.any(axis=0)
        if silent.any():
            point[silent] = np.nan
            for day in sorted(self.days, reverse=True):
                said = self.days[day]
                last = np.where(np.isfinite(said.load), said.load, said.point)
                point = np.where(np.isnan(point), last, point)
        return point

    def _missed_lately(self, day: int, group: int) -> Floats:
        """float64[S, 4]: what the static model missed at this slot's last known day, in the last
        hour known, the last quarter of a day, and the last day. 0 where not known."""
        s, known = self.models.slots, self.models.known
        recent = np.full(s, np.nan)
        for back in (1, 2):
            record = self.days.get(day - back)
            if record is not None:
                missed = record.load - record.static[group]
                recent = np.where(np.isnan(recent), missed, recent)
        ordered = np.roll(recent, -known)
        ends = [_mean(ordered[-n:]) for n in (max(1, s // 24), max(1, s // 4), s)]
        out = np.empty((s, 4))
        out[:, 0] = np.nan_to_num(recent)
        out[:, 1:] = ends
        return out


def regressors(model: Static, effects: Floats, missed: Floats) -> Floats:
    """h of the filters, float64[S, T + 1 + missed's]: effects as in training of mean 0 and
    deviation 1, a one, and what was missed, in residual deviations."""
    z = (effects - model.mean) / np.maximum(model.deviation, 1e-9)
    one = np.ones((len(z), 1))
    return np.concatenate([z, one, missed / model.sd[:, None]], axis=1)


def _group(models: ModelSet, members: tuple[Member, ...], family: str) -> Group:
    """The filters of a family start at the model as fitted."""
    model = models.families[family]
    at = [i for i, m in enumerate(members) if m.family == family and m.q is not None]
    level = (model.constant + model.mean.sum(axis=-1))[:, None]
    rest = np.zeros((models.slots, 4))
    theta = np.concatenate([model.deviation, level, rest], axis=1)
    theta[:, :-4] /= model.sd[:, None]
    return Group(family, model, at, Filters.start(theta, [members[i].q or 0.0 for i in at]))


def _mean(values: Floats) -> float:
    there = values[np.isfinite(values)]
    return float(there.mean()) if len(there) else 0.0
