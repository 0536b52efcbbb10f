"""Real homes with injected anomalies, and how a score is measured on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from generator.model.homes import whole_days

Floats = npt.NDArray[np.float64]
KINDS: Final = ("dead", "swap", "shift", "x3", "x0.3", "flat", "spike", "night")
CLEAN, WARM_UP, LIFELESS, ABSENT = -1, -2, -3, -4
"""Labels of days that were not injected: judged; before judging begins; without life; no day."""
SHARE: Final = 0.06
SPIKE_KW: Final = 3.0
ZONES: Final = {"sgsc": "Australia/Sydney", "swiss": "Europe/Zurich", "lcl": "Europe/London"}


@dataclass(frozen=True)
class Polluted:
    """wh: float64[homes, days, slots], some replaced; label: int8[homes, days], kind or above."""

    wh: Floats
    label: npt.NDArray[np.int8]
    aside: str

    @property
    def judged(self) -> npt.NDArray[np.bool_]:
        return self.label >= CLEAN


def read(path: Path, time_zone: str = "") -> tuple[Floats, str]:
    """(float64[homes, days, slots] Wh of usable homes, NaN where a day is absent; who is not).

    Half hours, or hours if the file has no finer. Usable: enough whole days, a mean of 10 W, not
    flat. Nothing else is left out, whatever the homes did.
    """
    zone = time_zone or next((z for n, z in ZONES.items() if n in path.name), "UTC")
    try:
        homes = whole_days([path], zone)
    except Exception as error:
        if "every 60 minutes" not in str(error):
            raise
        homes = whole_days([path], zone, minutes=60)
    wh = np.maximum(homes.wh.astype(np.float64), 0.0)
    days = homes.present().sum(axis=1)
    with np.errstate(invalid="ignore"):
        mean, spread = np.nanmean(wh, axis=(1, 2)), np.nanstd(wh, axis=(1, 2))
    good = (days >= warm_up(wh) + 14) & (mean * wh.shape[2] >= 240) & (spread > 0.05 * mean)
    return wh[good], f"{int((~good).sum())} of {len(good)} homes set aside (short, empty or flat)"


def warm_up(wh: Floats) -> int:
    """Days of a home before judging begins: 30, or 21 where the file has few weeks."""
    return 30 if wh.shape[1] >= 90 else 21


def inject(wh: Floats, seed: int, aside: str = "") -> Polluted:
    """Replace `SHARE` of the days after the warm-up by one of `KINDS`.

    A day without life (all slots the same) stays and is not judged: it is itself what is looked
    for, and turned, scaled or flattened it would be what it was.
    """
    rng = np.random.default_rng(seed)
    homes, days, _ = wh.shape
    out, label = wh.copy(), np.full((homes, days), ABSENT, np.int8)
    known = ~np.isnan(wh[:, :, 0])
    alive = known & (wh.max(axis=2) > wh.min(axis=2))
    for h in range(homes):
        own = np.flatnonzero(known[h])
        label[h, own] = np.where(alive[h, own], CLEAN, LIFELESS)
        first = own[: warm_up(wh)]
        label[h, first] = WARM_UP
        late = own[warm_up(wh) :]
        late = late[alive[h, late]]
        for d in late[rng.random(len(late)) < SHARE]:
            kind = int(rng.integers(len(KINDS)))
            out[h, d] = _anomaly(KINDS[kind], wh, alive, h, d, rng)
            label[h, d] = kind
    return Polluted(out, label, aside)


def _anomaly(kind: str, wh: Floats, alive: Any, h: int, d: int, rng: Any) -> Floats:
    day = wh[h, d]
    slots = len(day)
    if kind == "swap":
        other = int(rng.integers(len(wh) - 1))
        other += other >= h
        return np.asarray(wh[other, rng.choice(np.flatnonzero(alive[other]))])
    if kind == "spike":
        length = slots // 12
        at = int(rng.integers(slots - length + 1))
        out = day.copy()
        out[at : at + length] += SPIKE_KW * 1000 * 24 / slots
        return out
    return {
        "dead": lambda: np.zeros(slots),
        "shift": lambda: np.roll(day, slots // 4),
        "x3": lambda: day * 3,
        "x0.3": lambda: day * 0.3,
        "flat": lambda: np.full(slots, day.mean()),
        "night": lambda: np.roll(day, slots // 2),
    }[kind]()


def auc(score: Floats, positive: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve; ties count half."""
    order = np.argsort(score, kind="stable")
    ranks = np.empty(len(score))
    ranked = score[order]
    _, first, count = np.unique(ranked, return_index=True, return_counts=True)
    ranks[order] = np.repeat(first + (count + 1) / 2, count)
    n = int(positive.sum())
    if not 0 < n < len(score):
        return float("nan")
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(score) - n)))


def measures(score: Floats, days: Polluted, homes: npt.NDArray[np.bool_]) -> dict[str, float]:
    """AUC over all and by kind, recall at 1 % false alarms, precision of the top 1 %."""
    use = days.judged & np.isfinite(score) & homes[:, None]
    s, label = score[use], days.label[use]
    bad = label >= 0
    at = np.quantile(s[~bad], 0.99)
    out = {
        "auc": auc(s, bad),
        "recall": float((s[bad] > at).mean()),
        "precision": float(bad[s >= np.quantile(s, 0.99)].mean()),
    }
    for kind, name in enumerate(KINDS):
        some = ~bad | (label == kind)
        out[name] = auc(s[some], bad[some])
    return out
