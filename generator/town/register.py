"""The register that belongs to a town: who its meters are, for `wattstorm register build`.

Each row follows from (seed, meter), so any part can be made alone:

    external_id   14 digits like a French PRM: region code (2), serial (10; a permutation of the
                  meters' numbers, by seed), key (2): 97 - (first twelve digits modulo 97)
    region        by district of 500 neighbours, who share a concentrator; by population
    option        base, offpeak, tempo or weekend, in the stated shares; with layers, offpeak
                  are the homes whose layer says so
    contracted    smallest step of the ladder that holds the home's highest possible slot, and
      power       the option's least (offpeak and weekend 6 kVA, tempo 9 kVA)
    tariff        option and power, 12 kVA and above in one: base_3 … weekend_12, twelve of them
    producer      homes with the solar layer
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from generator.noise import mix
from generator.town.layers import Layer
from generator.town.outputs import write_batches
from generator.town.town import Meters, Town
from wattstorm.errors import UsageError

DISTRICT: Final = 500
"""Meters that follow each other in the register and hang on one concentrator."""
SERIALS: Final = 10**10
OPTIONS: Final = ("base", "offpeak", "tempo", "weekend")
SHARES: Final = (0.55, 0.33, 0.05, 0.07)
STEPS_KVA: Final = np.array([3, 6, 9, 12, 15, 18, 24, 30, *range(36, 252, 6)])
TARIFFS: Final = tuple(
    f"{option}_{kva}"
    for option, least in (("base", 3), ("offpeak", 6), ("tempo", 9), ("weekend", 6))
    for kva in (3, 6, 9, 12)
    if kva >= least
)
REGIONS: Final = {  # INSEE code → name, thousands of inhabitants
    11: ("ile_de_france", 12_320),
    24: ("centre_val_de_loire", 2_570),
    27: ("bourgogne_franche_comte", 2_800),
    28: ("normandie", 3_330),
    32: ("hauts_de_france", 6_000),
    44: ("grand_est", 5_560),
    52: ("pays_de_la_loire", 3_870),
    53: ("bretagne", 3_400),
    75: ("nouvelle_aquitaine", 6_080),
    76: ("occitanie", 6_050),
    84: ("auvergne_rhone_alpes", 8_160),
    93: ("provence_alpes_cote_d_azur", 5_160),
    94: ("corse", 350),
}
SCHEMA: Final = pl.Schema(
    {
        "external_id": pl.Int64,
        "tariff": pl.String,
        "region": pl.String,
        "contracted_power_va": pl.Int64,
        "producer": pl.Boolean,
    }
)
CHUNK: Final = 1 << 18
_STEP: Final = 7_432_109_873  # coprime to SERIALS: meter × _STEP modulo SERIALS is a permutation
_LEAST_KVA: Final = np.array([3, 6, 9, 6])
_DISTRICT_PURPOSE, _OPTION_PURPOSE = 0xD157, 0x0B71


@dataclass(frozen=True)
class Shares:
    """Shares of the options, in the order of OPTIONS; they add up to 1."""

    of: tuple[float, ...] = SHARES

    def __post_init__(self) -> None:
        if len(self.of) != len(OPTIONS) or min(self.of) < 0 or abs(sum(self.of) - 1) > 1e-6:
            raise UsageError(
                f"shares {', '.join(map(str, self.of))} of {', '.join(OPTIONS)}",
                "give four shares from 0 to 1 that add up to 1",
            )


def external_ids(seed: int, meters: Meters) -> npt.NDArray[np.int64]:
    """int64[n], the 14-digit ids of these meters."""
    if meters.size and not 0 <= int(meters.min()) <= int(meters.max()) < SERIALS:
        raise UsageError(f"meter {int(meters.max())}", f"a town has up to {SERIALS} meters")
    start = _bits(seed, np.zeros(1, np.int64), 0)[0] % np.uint64(SERIALS)
    # In two halves: meter × _STEP does not fit 64 bits.
    high, low = np.divmod(meters, 100_000)
    serial = ((high * _STEP % SERIALS) * 100_000 + low * _STEP + np.int64(start)) % SERIALS
    twelve = _regions(seed, meters) * SERIALS + serial
    return np.asarray(twelve * 100 + (97 - twelve % 97))


def rows(town: Town, meters: Meters, shares: Shares | None = None) -> pl.DataFrame:
    """The register's rows of these meters, in this order."""
    codes, option = _regions(town.seed, meters), _options(town, meters, shares or Shares())
    kva = np.maximum(town.peak_watts(meters) / 1000, _LEAST_KVA[option])
    step = np.searchsorted(STEPS_KVA, kva)
    if (step == len(STEPS_KVA)).any():
        raise UsageError(
            f"a home needs {kva.max():.0f} kVA, the highest step is {STEPS_KVA[-1]}",
            "fit the model on homes",
        )
    power = STEPS_KVA[step]
    names = np.array([[f"{o}_{k}" for k in (3, 6, 9, 12)] for o in OPTIONS], dtype=object)[
        option, np.minimum(power, 12) // 3 - 1
    ]
    regions = np.array([name for name, _ in REGIONS.values()], dtype=object)
    return pl.DataFrame(
        {
            "external_id": external_ids(town.seed, meters),
            "tariff": names.astype(str),
            "region": regions[np.searchsorted(list(REGIONS), codes)].astype(str),
            "contracted_power_va": power.astype(np.int64) * 1000,
            "producer": (town.flags(meters) & Layer.SOLAR) != 0,
        },
        schema=SCHEMA,
    )


def write_register(
    town: Town, count: int, path: Path, *, first: int = 0, shares: Shares | None = None
) -> None:
    """Rows of the meters first to first + count - 1 into a .parquet or .csv file."""
    chosen = shares or Shares()

    def parts() -> Iterator[pl.DataFrame]:
        for at in range(first, first + count, CHUNK):
            yield rows(town, np.arange(at, min(at + CHUNK, first + count)), chosen)

    write_batches(path, SCHEMA, parts())


def _regions(seed: int, meters: Meters) -> npt.NDArray[np.int64]:
    """int64[n], INSEE codes, one for each district."""
    people = np.cumsum([thousands for _, thousands in REGIONS.values()])
    at = _uniform(_bits(seed, meters // DISTRICT, _DISTRICT_PURPOSE)) * people[-1]
    codes = np.array(list(REGIONS), np.int64)
    return np.asarray(codes[np.searchsorted(people, at, side="right")])


def _options(town: Town, meters: Meters, shares: Shares) -> npt.NDArray[np.intp]:
    """int[n], positions in OPTIONS."""
    part = np.array(shares.of)
    at = _uniform(_bits(town.seed, meters, _OPTION_PURPOSE))
    if town.layers is None:
        return np.minimum(np.searchsorted(np.cumsum(part), at, side="right"), len(part) - 1)
    off = (town.flags(meters) & Layer.OFF_PEAK) != 0
    part[1] = 0.0
    if part.sum() == 0:
        part[0] = 1.0
    others = np.cumsum(part / part.sum())
    rest = np.minimum(np.searchsorted(others, at, side="right"), len(part) - 1)
    return np.where(off, 1, rest)


def _bits(seed: int, numbers: npt.NDArray[np.int64], purpose: int) -> npt.NDArray[np.uint64]:
    """uint64[n] for one purpose of each number; `noise.mix` works on arrays as it does on one."""
    with np.errstate(over="ignore"):
        mixed: Any = mix.py_func
        key = mixed(np.uint64(seed) + np.uint64(purpose) * np.uint64(0x9E3779B97F4A7C15))
        spread = numbers.astype(np.uint64) * np.uint64(0xD1B54A32D192ED03)
        return np.asarray(mixed(mixed(spread ^ key) + key))


def _uniform(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    return (bits >> np.uint64(11)).astype(np.float64) / 9007199254740992.0
