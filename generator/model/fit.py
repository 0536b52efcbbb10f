"""Fit: homes → model. Habits, movement, donors, moves of the chain, then calibration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from generator.model import chain, donors, habits, states
from generator.model.artefact import Model
from generator.model.calibrate import calibrate
from generator.model.habits import Habits, kind_of
from generator.model.homes import Homes, set_aside
from wattstorm.errors import TrainingError
from wattstorm.metering.slots import date_of_day_number

Say = Callable[[str], None]

_OWN: Final = 20.0
"""Days at which a home's own correlations count as much as those of all homes together."""
_OWN_SHARES: Final = 0.8
_FORGOTTEN: Final = 0.08  # a smaller share of memory is none: draws that change nothing
_LEAD: Final = 3  # components whose memory is each home's own


def fit(
    homes: Homes,
    *,
    seed: int = 1,
    licence: str = "not stated",
    source: str = "not stated",
    say: Say = lambda text: None,
) -> Model:
    """A model of these homes. TrainingError with its reason if they are too few.

    licence, source: one line each for the card. say: told what is being done.
    """
    homes = set_aside(homes)
    if homes.wh.shape[2] % 8:
        raise TrainingError(
            f"slots of {homes.minutes} minutes cannot be fitted", "take 10, 15, 30 or 60 minutes"
        )
    say(f"{len(homes.ids)} homes, {int(homes.present().sum()):,} days: habits")
    learnt, years = habits.learn(homes, seed), habits.years_of(homes.days)
    say("movement")
    mixing, components = _mixing(learnt.scores)
    shares = _shares(components)
    driver, driven = _driver(components[..., 0])
    features = donors.likeness(learnt, homes.wh)
    near = donors.neighbours(features)
    move_class = chain.classes(features)
    say("blocks and moves")
    blocks, marks, block_list = donors.cut(
        learnt, kind_of(homes.days), habits.period_of(homes.days, *years), seed
    )
    slots, rows = homes.wh.shape[2], len(learnt.quantiles)
    model = Model(
        rows_of=learnt.rows_of,
        quantiles=np.repeat(learnt.quantiles[None], 2, axis=0).astype(np.float32),
        targets=learnt.targets,
        off=learnt.off.astype(np.float32).reshape(rows, 2),
        mixing=mixing.astype(np.float32),
        shares=shares.astype(np.float32),
        driven=driven.astype(np.float32),
        seam=_seam(learnt, components[..., 0]).astype(np.float32),
        blocks=blocks,
        marks=marks,
        block_list=block_list,
        near=near,
        donors=donors.lenders(block_list, near),
        habit=np.clip(np.round(learnt.habit * 127), -127, 127).astype(np.int8),
        move_class=move_class,
        chain_odds=chain.odds(learnt, homes.days, move_class),
        factors=np.ones((2, 2, slots), np.float32),
        level=np.ones(2, np.float32),
        card=_card(homes, driver, seed, licence, source),
    )
    say("calibration")
    return calibrate(model.rounded(), homes).rounded()


def _mixing(
    scores: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(mixing float64[homes, PARTS, PARTS], components float64[homes, days, PARTS])."""
    have = np.asarray(~np.isnan(scores).any(axis=2))
    general = np.asarray(np.corrcoef(scores[have].T))
    _, vectors = _principal(general)
    mixing = np.empty((len(scores), states.PARTS, states.PARTS))
    components = np.full(scores.shape, np.nan)
    for h, mine in enumerate(have):
        n = int(mine.sum())
        own = general
        if n > 2 * states.PARTS:
            with np.errstate(invalid="ignore", divide="ignore"):
                own = np.asarray(np.nan_to_num(np.corrcoef(scores[h, mine].T), nan=0.0))
            own = np.asarray((n * own + _OWN * general) / (n + _OWN))
            np.fill_diagonal(own, 1.0)
        values, axes = _principal(own)
        axes = axes * np.where((axes * vectors).sum(axis=0) < 0, -1.0, 1.0)
        mixing[h] = axes * np.sqrt(values)
        components[h, mine] = (scores[h, mine] @ axes) / np.sqrt(values)
    return mixing, components


def _principal(
    matrix: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Eigenvalues and vectors, largest first, the first vector's sum positive."""
    values, vectors = np.linalg.eigh(matrix)
    vectors = vectors[:, ::-1] * np.where(vectors[:, ::-1].sum(axis=0) < 0, -1.0, 1.0)
    return np.maximum(values[::-1], 1e-3), vectors


def _shares(components: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """float64[homes, PARTS, 2]: memory of each component, weeks and days."""
    general = np.array([states.fit_shares(components[..., j]) for j in range(states.PARTS)])
    out = np.repeat(general[None], len(components), axis=0)
    for h in range(len(components)):
        for j in range(_LEAD):
            own = np.array(states.fit_shares(components[h, :, j]))
            out[h, j] = _OWN_SHARES * own + (1 - _OWN_SHARES) * general[j]
    return np.asarray(np.where(out < _FORGOTTEN, 0.0, out))


def _driver(
    full: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(driver float64[days], loading float64[homes]), from how full homes' days are together.

    The loading is a home's mean product with the mean of the others, the same for all: what
    one home's few weeks say of it is mostly noise.
    """
    count = (~np.isnan(full)).sum(axis=0)
    total = np.nansum(full, axis=0)
    common = []
    for own in full:
        others = count - ~np.isnan(own)
        use = ~np.isnan(own) & (others >= 3)
        if use.sum() < 7:
            continue
        mean = (total[use] - own[use]) / others[use]
        common.append(float((own[use] * mean).mean()))
    loading = float(np.sqrt(np.clip(np.mean(common), 0.0, 0.64))) if common else 0.0
    mean = np.where(count >= 3, total / np.maximum(count, 1), 0.0)
    spread = float(mean[count >= 3].std()) if (count >= 3).any() else 0.0
    driver = np.clip(mean / spread, -3, 3) if spread > 0 else mean
    return driver, np.full(len(full), loading)


def _seam(learnt: Habits, full: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """float64[2]: slope of the last slot's score on the fullness of both days, and what is left."""
    last = learnt.ranks[:, :-1, -1].astype(np.float64)
    both = full[:, :-1] + full[:, 1:]
    use = ~np.isnan(last) & ~np.isnan(both)
    if use.sum() < 30:
        return np.array([0.2, 0.7])
    score, both = states.scores(np.clip(last[use], 0.001, 0.999)), both[use]
    slope = float((score * both).sum() / (both**2).sum())
    return np.array([slope, float(np.var(score - slope * both))])


def _card(
    homes: Homes, driver: npt.NDArray[np.float64], seed: int, licence: str, source: str
) -> dict[str, Any]:
    days = homes.days
    return {
        "source": source,
        "licence": licence,
        "homes": len(homes.ids),
        "home_days": int(homes.present().sum()),
        "first_day": date_of_day_number(int(days[0])).isoformat(),
        "last_day": date_of_day_number(int(days[-1])).isoformat(),
        "first_year": habits.years_of(days)[0],
        "minutes": homes.minutes,
        "time_zone": homes.time_zone,
        "set_aside": homes.aside,
        "seed": seed,
        "driver": {str(int(d)): round(float(v), 2) for d, v in zip(days, driver, strict=True)},
    }
