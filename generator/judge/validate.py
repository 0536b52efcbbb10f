"""Validation: synthetic curves against real ones, beside the floor and the baselines.

`compare` judges one set of curves; `twin` and `new_homes` are the two designs, over several
splits of the homes. Every figure is given for `real` too: real homes judged as if they were
synthetic, the floor that no generator can be below.

    twin        fitted on odd weeks, judged on even weeks of the same homes; the classifier learns
                on one half of the homes and is tested on the other
    new_homes   fitted on one half of the homes, judged on the other; homes and archetypes of the
                classifier's test are not those it learnt on
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from generator.judge import baselines, classify, metrics
from generator.judge.attack import outlier_attack
from generator.model.artefact import ENGINES
from generator.model.calibrate import by_home, mean_curves
from generator.model.fit import fit
from generator.model.habits import kind_of
from generator.model.homes import Homes
from generator.model.sampler import Generator
from wattstorm.errors import TrainingError

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Say = Callable[[str], None]
Figures = dict[str, float]
ATTACKS = 3


@dataclass(frozen=True)
class Rival:
    """One set of curves. wh: float[homes, days, slots]; origin: int[homes], the training home or
    archetype that each is made from; days: day numbers."""

    wh: Floats
    origin: Ints
    days: npt.NDArray[np.int32]


def compare(real: Homes, rival: Rival, train: Homes, seed: int = 0) -> Figures:
    """Figures of one rival against real homes. Days that a real home lacks, its rival lacks."""
    wh = _masked(real, rival)
    a, b = metrics.days_in(real.wh), metrics.days_in(wh)
    slots = real.wh.shape[2]
    da, db = metrics.day_features(a), metrics.day_features(b)
    # per kind of curve: every home counts alike
    ma, mb = _mean_curve(real.wh), _mean_curve(wh)
    gap = 100 * np.abs(mb / np.maximum(ma, 1e-6) - 1)
    out: Figures = {"mean_worst_pct": float(gap.max()), "mean_average_pct": float(gap.mean())}
    out["ks_slot"] = float(np.mean([metrics.ks(a[:, s], b[:, s]) for s in range(slots)]))
    for name, at in (("day_energy", 0), ("peak", 1), ("load_factor", 3)):
        out[f"ks_{name}"] = metrics.ks(da[:, slots + at], db[:, slots + at])
    out["ks_ramps"] = metrics.ks(np.diff(a, axis=1)[::3], np.diff(b, axis=1)[::3])
    for name, lag in (("1_slot", 1), ("1_day", slots), ("7_days", 7 * slots)):
        own = metrics.autocorrelation(real.wh, lag)
        other = metrics.autocorrelation(wh, lag)
        out[f"acf_{name}_gap"] = float(np.nanmean(other) - np.nanmean(own))
    base, here = metrics.coincidence(real.wh, seed=seed), metrics.coincidence(wh, seed=seed)
    for n in base.keys() & here.keys():
        out[f"coincidence_{n}"] = here[n] / base[n]
    known = metrics.days_in(train.wh)
    out["closest_day"] = metrics.closest_day(known, b) / max(metrics.closest_day(known, a), 1e-6)
    return out


def judge(real: Homes, rival: Rival, split: int, tstr: bool = True) -> Figures:
    """Classifier figures (and the forecaster's), homes and origins disjoint."""
    wh = _masked(real, rival)
    rng = np.random.default_rng(split)
    learn = np.zeros(len(real.ids), bool)
    learn[rng.permutation(len(learn))[: len(learn) // 2]] = True
    theirs = learn
    if not np.array_equal(rival.origin, np.arange(len(learn))):
        some = rng.permutation(np.unique(rival.origin))
        theirs = np.isin(rival.origin, some[: len(some) // 2])
    out = classify.two_samples(real.wh, learn, wh, theirs, real.days, rival.days, split)
    if tstr:
        out["tstr_mae"] = classify.forecast_error(
            wh[theirs], real.wh[~learn], rival.days, real.days
        )
    return out


def twin(
    homes: Homes, splits: int = 5, *, seed: int = 1, say: Say = print, whole: bool = True
) -> dict[str, Any]:
    """The design *twin*: one fit, `splits` halvings of the homes for the classifier.

    whole: also the mean curve over a million curves, and the outlier attack.
    """
    odd = (homes.days.astype(np.int64) + 3) // 7 % 2 == 1
    train, real = homes.take(days=odd), homes.take(days=~odd)
    say("fitting on the odd weeks")
    model = fit(train, seed=seed)
    keep = np.isin(np.array(homes.ids, object), np.array(train.ids, object))
    if model.homes != keep.sum():
        raise TrainingError(
            f"{keep.sum() - model.homes} homes lack days in the odd weeks", "leave them out"
        )
    rivals: dict[str, Rival] = {"real": Rival(train.wh, np.arange(len(keep)), train.days)}
    for engine in ENGINES:
        drawn = Generator(model, engine=engine, twins=True, seed=seed)
        wh = drawn.curves(np.arange(model.homes), real.days.astype(np.int64))
        rivals[engine] = Rival(wh.astype(np.float32), np.arange(model.homes), real.days)
    for name, make in baselines.BASELINES.items():
        rivals[name] = Rival(make(train, real.days, seed), np.arange(model.homes), real.days)
    rows: dict[str, list[Figures]] = {}
    for name, rival in rivals.items():
        say(f"judging {name}")
        once = compare(real, rival, train, seed)
        rows[name] = [{**once, **judge(real, rival, s, tstr=s == 0)} for s in range(splits)]
    found = _report("twin", rows, model.card)
    found["examples"] = {name: _examples(rivals[name].wh, seed) for name in ("real", *ENGINES)}
    if whole:
        say("the mean curve over a million curves")
        found["figures"] |= mean_curve(homes)["block"]
        say("attacking")
        attacks = [outlier_attack(homes, seed=s) for s in range(ATTACKS)]
        found["figures"]["outlier_attack"] = float(np.mean(attacks))
    return found


def against(
    real: Homes, synthetic: Homes, splits: int = 5, *, seed: int = 1, say: Say = print
) -> dict[str, Any]:
    """Synthetic homes from anywhere against real ones, which they need not know."""
    if real.wh.shape[2] != synthetic.wh.shape[2]:
        raise TrainingError(
            f"real days have {real.wh.shape[2]} slots, synthetic ones {synthetic.wh.shape[2]}",
            "read both with the same length of slots",
        )
    count = len(real.ids)
    origin = np.arange(len(synthetic.ids)) + count
    rivals = {
        "real": Rival(real.wh, np.arange(count), real.days),
        "synthetic": Rival(synthetic.wh, origin, synthetic.days),
    }
    rows: dict[str, list[Figures]] = {}
    for name, rival in rivals.items():
        say(f"judging {name}")
        once = compare(real, rival, real, seed)
        del once["closest_day"]  # nobody knows here what they were trained on
        rows[name] = [{**once, **judge(real, rival, s, tstr=s == 0)} for s in range(splits)]
    found = _report("two files", rows, {}, subject="synthetic")
    found["examples"] = {name: _examples(rival.wh, seed) for name, rival in rivals.items()}
    return found


def new_homes(homes: Homes, splits: int = 12, *, seed: int = 1, say: Say = print) -> dict[str, Any]:
    """The design *new homes*: a fit and a judgement for each halving of the homes."""
    rows: dict[str, list[Figures]] = {}
    card: Mapping[str, Any] = {}
    for split in range(splits):
        order = np.random.default_rng(split).permutation(len(homes.ids))
        half = len(order) // 2
        train, real = (
            homes.take(homes=np.sort(order[:half])),
            homes.take(homes=np.sort(order[half:])),
        )
        say(f"split {split + 1} of {splits}: fitting on {half} homes")
        model = fit(train, seed=seed)
        card = model.card
        count = len(real.ids)
        # the floor: the training half itself, judged as if it were synthetic
        rivals = {"real": Rival(train.wh, np.arange(half) + count, train.days)}
        for engine in ENGINES:
            drawn = Generator(model, engine=engine, seed=seed + split)
            who = drawn.people(np.arange(count)).homes
            wh = drawn.curves(np.arange(count), real.days.astype(np.int64))
            rivals[engine] = Rival(wh.astype(np.float32), who.astype(np.int64) + count, real.days)
        if split == 0:
            for name, make in baselines.BASELINES.items():
                rivals[name] = Rival(
                    make(train, train.days, seed), np.arange(half) + count, train.days
                )
        for name, rival in rivals.items():
            figures = compare(real, rival, train, seed) | judge(real, rival, split, split == 0)
            rows.setdefault(name, []).append(figures)
    return _report("new homes", rows, card)


def mean_curve(homes: Homes, *, curves: int = 1_000_000, seed: int = 5) -> dict[str, Figures]:
    """Engine → how far the mean curve of new homes is from the training homes', percent.

    Every home counts alike, over all days of the training period; working days and weekends
    are weighed as in a week.
    """
    model = fit(homes)
    days = homes.days.astype(np.int64)
    kind, meters = kind_of(days), np.arange(max(1, curves // len(days)))
    week = np.array([5, 2]) / 7
    wanted = week @ mean_curves(model, homes)
    out = {}
    for engine in ENGINES:
        drawn = Generator(model, engine=engine, seed=seed)
        wh, who = drawn.curves(meters, days), drawn.people(meters).homes
        found = week @ np.array([by_home(wh[:, kind == k].mean(axis=1), who) for k in (0, 1)])
        gap = 100 * np.abs(found / wanted - 1)
        out[engine] = {
            "mean_1m_worst_pct": float(gap.max()),
            "mean_1m_average_pct": float(gap.mean()),
        }
    return out


def _masked(real: Homes, rival: Rival) -> Floats:
    """The rival's curves without the days that the real home of the same place lacks."""
    wh = np.array(rival.wh, np.float32)
    if np.array_equal(rival.days, real.days):
        same = min(len(wh), len(real.wh))
        wh[:same][np.isnan(real.wh[:same, :, 0])] = np.nan
    return wh


def _examples(wh: Floats, seed: int) -> Floats:
    """float[400, slots]: some days, for pictures."""
    days = metrics.days_in(wh)
    return np.asarray(np.random.default_rng(seed).permutation(days)[:400])


def _mean_curve(wh: Floats) -> Floats:
    return np.asarray(np.nanmean(np.nanmean(wh, axis=1), axis=0))


def _report(
    design: str, rows: Mapping[str, list[Figures]], card: Mapping[str, Any], subject: str = "block"
) -> dict[str, Any]:
    """Mean and deviation over the splits, and the excess over the floor of the same split."""
    table: dict[str, dict[str, tuple[float, float]]] = {}
    for name, figures in rows.items():
        keys = sorted(set.union(*(set(f) for f in figures)))
        table[name] = {}
        for key in keys:
            values = [f[key] for f in figures if key in f]
            table[name][key] = (float(np.mean(values)), float(np.std(values)))
        for part in ("day", "week"):
            over = [
                f[f"c2st_{part}"] - floor[f"c2st_{part}"]
                for f, floor in zip(figures, rows["real"], strict=False)
            ]
            table[name][f"excess_{part}"] = (float(np.mean(over)), float(np.std(over)))
    floor = table["real"]
    flat = {key: value[0] for key, value in table[subject].items()}
    flat |= {"floor_day": floor["c2st_day"][0], "floor_week": floor["c2st_week"][0]}
    return {
        "design": design,
        "splits": len(rows["real"]),
        "figures": flat,
        "table": table,
        "trained_on": {k: v for k, v in card.items() if k != "driver"},
    }
