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
from models.forecast.gate import Gate
from models.forecast.intervals import Intervals
from models.forecast.kalman import Filters
from models.forecast.mixture import Mixture
from models.forecast.model_set import ModelSet, Static

MISSED = 4
"""Regressors that are what the static model missed lately: see `_missed_lately`."""
MEMORY = 9
"""Days whose forecasts are remembered: what comes later is for a re-run from a snapshot."""


@dataclass(frozen=True)
class Forecast:
    """point: float64[S]. quantiles: float64[L, S]. paths: float64[n, S], days that may come.
    experts: float64[K, S], NaN asleep. awake: bool[K, S], those that the mixture heard. clamped:
    bool[S], where a covariate lies beyond what a model was trained on: such a forecast is a guess.
    """

    point: Floats
    quantiles: Floats
    paths: Floats
    experts: Floats
    awake: Flags
    clamped: Flags


@dataclass
class Record:
    """What was said of a day, and what came. h: float64[G, S, p] and static: float64[G, S], of the
    families; load: float64[S], NaN until learned."""

    h: Floats
    static: Floats
    experts: Floats
    awake: Flags
    point: Floats
    scale: Floats
    load: Floats


class Forecaster:
    """The members of a model set, learning."""

    def __init__(self, models: ModelSet) -> None:
        self.models = models
        self.members = models.present
        self.families = list(models.families)
        self._models = [models.families[f] for f in self.families]
        adapted = [(i, m) for i, m in enumerate(self.members) if m.q is not None]
        self._at = [i for i, _ in adapted]
        self._family = [self.families.index(m.family) for _, m in adapted]
        self.plain = [(i, m.family) for i, m in enumerate(self.members) if m.q is None]
        self.filters = started(self._models, self._family, [m.q or 0.0 for _, m in adapted])
        self._sds = np.array([m.sd for m in self._models])
        sd = self._sds.min(axis=0)
        self._sd = sd
        self.mixture = Mixture.start(len(self.members), models.slots)
        self.intervals = Intervals.start(sd)
        self.gate = Gate.start(len(self.members), models.slots)
        self.days: dict[int, Record] = {}

    def forecast(self, day: int, values: Mapping[str, Floats]) -> Forecast:
        """The day's forecast; values: covariates by name, float64[S]. Remembered until learned."""
        experts = np.full((len(self.members), self.models.slots), np.nan)
        h = np.zeros((len(self._models), self.models.slots, self.filters.theta.shape[-1]))
        static = np.empty(h.shape[:2])
        clamped = np.zeros(self.models.slots, np.bool_)
        missed = self._missed_lately(day)
        for g, model in enumerate(self._models):
            x = model.gather(values)
            effects = model.effects(x)
            clamped |= model.clamped(x).any(axis=-1)
            static[g] = model.constant + effects.sum(axis=-1)
            regressors(model, effects, missed[g], h[g])
        experts[self._at] = self.filters.predict(h[self._family]) * self._sds[self._family]
        static_of = dict(zip(self.families, static, strict=True))
        for i, family in self.plain:
            experts[i] = static_of[family] if family in static_of else values[family]
        awake = self.gate.awake(experts, [r.load for r in self.days.values()])
        point = self._mixed(experts, awake)
        scale = self.intervals.scale()
        nothing = np.full(self.models.slots, np.nan)
        self.days[day] = Record(h, static, experts, awake, point, scale, nothing)
        for gone in [d for d in self.days if d > day] + sorted(self.days)[:-MEMORY]:
            self.days.pop(gone, None)
        quantiles, paths = self.intervals.quantiles(point), self.intervals.drawn(point)
        return Forecast(point, quantiles, paths, experts, awake, clamped)

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
        sds = self._sds[self._family, part]
        self.filters.update(record.h[self._family, part], y / sds, part)
        experts, awake = record.experts[:, part], record.awake[:, part]
        self.mixture.update(experts.T.copy(), y, awake.T.copy(), self._sd[part], part)
        self.gate.learn(experts, y, part)
        self.intervals.update(y - record.point[part], record.scale[part], part)
        record.load[new] = load[new]
        if np.isfinite(record.load).all():
            self.intervals.new_day(record.load - record.point, record.scale)

    def _mixed(self, experts: Floats, awake: Flags) -> Floats:
        """The mixture's answer; where nobody is awake, the last known day's."""
        point = self.mixture.answer(experts.T.copy(), awake.T.copy(), self.gate.recent())
        silent = ~awake.any(axis=0)
        if silent.any():
            point[silent] = np.nan
            for day in sorted(self.days, reverse=True):
                said = self.days[day]
                last = np.where(np.isfinite(said.load), said.load, said.point)
                point = np.where(np.isnan(point), last, point)
        return point

    def _missed_lately(self, day: int) -> Floats:
        """float64[G, S, 4]: what each static model missed at this slot's last known day, in the
        last hour known, the last quarter of a day, and the last day. 0 where not known."""
        s, known = self.models.slots, self.models.known
        recent = np.full((len(self._models), s), np.nan)
        for back in (1, 2):
            record = self.days.get(day - back)
            if record is not None:
                recent = np.where(np.isnan(recent), record.load - record.static, recent)
        there = np.isfinite(recent)
        filled = np.where(there, recent, 0.0)
        out = np.empty((*recent.shape, MISSED))
        out[..., 0] = filled
        order = (np.arange(s) + known) % s  # the last known slot comes last
        for i, n in enumerate((max(1, s // 24), max(1, s // 4), s), 1):
            last = order[s - n :]
            count = np.maximum(there[:, last].sum(axis=1), 1)
            out[..., i] = (filled[:, last].sum(axis=1) / count)[:, None]
        return out


def regressors(model: Static, effects: Floats, missed: Floats, h: Floats) -> None:
    """Fill h float64[S, p]: what was missed, in residual deviations, a one, and the effects, as in
    training of mean 0 and deviation 1; the rest stays 0."""
    h[:, :MISSED] = missed / model.sd[:, None]
    h[:, MISSED] = 1.0
    z = (effects - model.mean) / np.maximum(model.deviation, 1e-9)
    h[:, MISSED + 1 : MISSED + 1 + z.shape[1]] = z


def started(models: list[Static], family: list[int], q: list[float]) -> Filters:
    """Filters at the models as fitted, of the same layout as `regressors`."""
    slots = len(models[0].constant)
    width = MISSED + 1 + max(m.mean.shape[1] for m in models)
    theta = np.zeros((len(family), slots, width))
    steps = np.zeros((len(family), 1, width))
    for f, (g, step) in enumerate(zip(family, q, strict=True)):
        model = models[g]
        used = MISSED + 1 + model.mean.shape[1]
        theta[f, :, MISSED] = (model.constant + model.mean.sum(axis=-1)) / model.sd
        theta[f, :, MISSED + 1 : used] = model.deviation / model.sd[:, None]
        steps[f, :, :used] = step
    return Filters.start(theta, steps)
