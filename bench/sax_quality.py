"""How well scores find days that are not a home's own: real homes, injected anomalies.

    python -m bench.sax_quality [--json] [--data DIR-or-FILE] [--time-zone ZONE] [--seeds 3]

6 % of the days after day 30 (21 where a file has few weeks) are replaced by one of eight kinds:
dead, another home's day, turned by 6 h, × 3, × 0.3, flat, + 3 kW for 2 h, night and day exchanged.
Scores see a home's past only, and learn from the polluted days. Days that are really without life
are not judged. Ours is beside textbook SAX with MINDIST to 14 words, the day's energy, the
nearest of 28 raw days, and a diagonal Gaussian. Calibration: stated p-values against the share of
days not injected that reach them.

Weights and reference were fitted on the homes of even number of `sgsc` and `swiss` files
(`bench.sax_fit`): of these files the others are reported, of any other file all.
`--data` is a Parquet of homes (meter, time, kwh) or a directory of them; default ../shared/data.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from bench._arguments import parse
from bench._report import machine
from bench._sax_days import CLEAN, KINDS, Polluted, inject, measures, read
from bench._sax_play import Played, play
from bench._sax_rivals import RIVALS
from wattstorm.errors import DataError, UsageError

FITTED_ON: Final = ("sgsc", "swiss")
STATED: Final = (0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
SHARED: Final = Path("../shared/data")
Rows = dict[str, dict[str, float]]


def files_of(data: str) -> list[Path]:
    """The Parquet files asked for, or those of homes that the shared data have."""
    root = (
        Path(data)
        if data
        else next(
            (p for p in (SHARED, Path("/work") / SHARED.relative_to("..")) if p.is_dir()), SHARED
        )
    )
    if root.is_file():
        return [root]
    found = sorted(root.glob("*.parquet"))
    homes = [p for p in found if p.name.startswith(FITTED_ON) and "household" in p.name]
    homes = [p for p in homes if "meters" not in p.name]
    if not data and homes:
        return homes
    if not found:
        raise UsageError(f"no Parquet of homes at {root}", "give --data FILE or DIR")
    return homes or found


def rows_of(days: Polluted, homes: npt.NDArray[np.bool_]) -> tuple[Rows, dict[str, float]]:
    """(measures by score, observed false-alarm rate by stated p, of peers' and meters' own)."""
    played = play(days.wh)
    rows = {"ours": measures(played.value, days, homes)}
    for name, rival in RIVALS.items():
        rows[name] = measures(rival(days.wh), days, homes)
    return rows, observed(played, days, homes)


def observed(played: Played, days: Polluted, homes: npt.NDArray[np.bool_]) -> dict[str, float]:
    clean = (days.label == CLEAN) & homes[:, None] & np.isfinite(played.value)
    out = {}
    for stated in STATED:
        out[f"peers {stated:g}"] = float((played.p_cohort[clean] <= stated).mean())
        out[f"meter {stated:g}"] = float((played.p_meter[clean] <= stated).mean())
    return out


def mean_of(several: list[dict[str, float]]) -> dict[str, float]:
    return {k: float(np.nanmean([one[k] for one in several])) for k in several[0]}


def judge(path: Path, time_zone: str, seeds: int) -> tuple[dict[str, float], str]:
    """(figures, what to print) of one file."""
    wh, aside = read(path, time_zone)
    known = path.name.startswith(FITTED_ON)
    homes = np.arange(len(wh)) % 2 == 1 if known else np.ones(len(wh), bool)
    if homes.sum() < 2:
        raise DataError(f"{path}: {len(wh)} usable homes", "give a few, of five weeks or more")
    several = [rows_of(inject(wh, seed), homes) for seed in range(1, seeds + 1)]
    rows = {name: mean_of([r[name] for r, _ in several]) for name in several[0][0]}
    alarms = mean_of([o for _, o in several])
    name = path.stem.partition("_")[0]
    ours = rows["ours"]
    figures = {f"{key}_{name}": ours[key] for key in ("auc", "recall", "precision")}
    figures |= {f"auc_{kind}_{name}": ours[kind] for kind in KINDS}
    for stated in STATED:
        figures[f"alarms_at_{stated:g}_{name}"] = alarms[f"peers {stated:g}"]
    ratios = [alarms[f"peers {s:g}"] / s for s in STATED]
    figures[f"calibration_{name}"] = max(max(r, 1 / max(r, 1e-9)) for r in ratios)
    figures |= {
        f"auc_{n.split()[0].strip(',').lower()}_rival_{name}": rows[n]["auc"] for n in RIVALS
    }
    which = "those not fitted on" if known else "all"
    lines = [
        f"{path.name}: {len(wh)} homes, judged {int(homes.sum())} ({which}); {aside}",
        f"  {'score':<24}{'AUC':>7}{'recall':>8}{'prec.':>7}  " + "".join(f"{k:>7}" for k in KINDS),
    ]
    for label, row in rows.items():
        kinds = "".join(f"{row[k]:7.3f}" for k in KINDS)
        lines.append(
            f"  {label:<24}{row['auc']:7.3f}{row['recall']:8.3f}{row['precision']:7.3f}  {kinds}"
        )
    for who in ("peers", "meter"):
        told = "  ".join(f"{s:g}: {alarms[f'{who} {s:g}']:.4f}" for s in STATED)
        lines.append(f"  false alarms by stated p ({who}): {told}")
    return figures, "\n".join(lines)


def main() -> None:
    arguments = parse(__doc__, data="", time_zone="", seeds=3)
    figures: dict[str, float] = {}
    print(machine())
    for path in files_of(arguments.data):
        try:
            found, text = judge(path, arguments.time_zone, arguments.seeds)
        except DataError as error:  # of a directory, what is no homes is passed over
            if arguments.data and Path(arguments.data).is_file():
                raise
            print(f"{path.name}: {error}", file=sys.stderr)
            continue
        figures |= found
        print(text)
    if arguments.json:
        print(json.dumps({k: round(v, 4) for k, v in figures.items()}))


if __name__ == "__main__":
    main()
