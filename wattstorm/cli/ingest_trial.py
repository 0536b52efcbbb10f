"""`wattstorm ingest --dry-run`: what would become of the files' readings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wattstorm.cli.common import open_store, say
from wattstorm.cli.ingest_report import too_many_refused
from wattstorm.cli.output import energy
from wattstorm.files.readings import Source
from wattstorm.ingest.trial import Trial, try_source
from wattstorm.metering.block import Channel
from wattstorm.metering.rules import Rules
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store.store import Store


def print_trial(
    settings: Settings, register: Register, source: Source, channel: Channel, most: float
) -> int:
    """Print what would become of the rows; the exit code."""
    if not source.surveys:
        print("no rows")
        return 0
    rules = Rules.from_settings(settings)
    trial = try_source(register, source, rules, _lows(settings, register, channel))
    _print(trial)
    fractions = sum(found.fractions for found in source.surveys)
    if fractions:
        say(f"{fractions:,} energies have fractions of a Wh: each is rounded, half to even")
    for warning in trial.smells():
        say(f"warning: {warning}")
    say("nothing was sent")
    return too_many_refused(trial.refused, trial.rows, most)


def _lows(settings: Settings, register: Register, channel: Channel) -> npt.NDArray[np.int64] | None:
    """By partition the first slot that the stream still takes."""
    if not (settings.store.url or (settings.data.directory / "store").is_dir()):
        return None
    with open_store(settings) as store:
        known = Store(store.connection, settings.store.prefix).results
        lows = known.fences(range(register.partitions)).lows
    return np.array([low.get(int(channel), 0) for low in lows], np.int64)


def _print(trial: Trial) -> None:
    refused = sum(trial.refused.values())
    reasons = ", ".join(f"{name} {n:,}" for name, n in trial.refused.items())
    taken = trial.rows - refused
    print(f"rows        {trial.rows:,}: {taken:,} would be taken, {refused:,} refused")
    if refused:
        print(f"refused     {reasons}")
    unknown = f", {trial.unknown_meters:,} not in the register" if trial.unknown_meters else ""
    some = f" ({', '.join(trial.unknown)}, …)" if trial.unknown else ""
    print(f"meters      {trial.meters:,} known{unknown}{some}")
    print(
        f"energies    {trial.mean_wh:,.1f} Wh a reading on average, {energy(trial.highest_wh)} at "
        f"most; contracted power allows {trial.mean_limit_wh:,.0f} Wh a slot on average"
    )
