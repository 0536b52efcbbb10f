"""The town's register as it grows: what each version says, plainly and as a real register.

A chain is one way of growing. Its versions add meters (in the last partition, then in a new one)
and date changes of tariff, region, power and producer flag anywhere around the town's days:
before them, in the open days, after them. Chain 0 never grows.
"""

from __future__ import annotations

import functools
import random
import tempfile
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wattstorm.files.meters import build_register
from wattstorm.register.register import Register

METERS, PARTITION, PARTITIONS = 14, 5, 3
MOST_METERS, MOST_PARTITIONS = 18, 4
"""As many as a chain may come to."""
TARIFFS, REGIONS = ("t0", "t1", "t2", "t3"), ("r0", "r1", "r2")
"""The last of each comes with a later version."""
FIRST_DAY = date(2024, 3, 29)
"""Paris moves its clocks on 31 March, Sydney on 7 April."""
DAYS = 8
EPOCH = date(1970, 1, 1)
START = (FIRST_DAY - EPOCH).days
LONG_AGO = 14_610
WIDE, SMALL = 4_000_000, 6_000
CHAINS, VERSIONS = 6, 6
"""Ways of growing beside chain 0, and versions in each."""


class Contract(NamedTuple):
    """What the register says of a meter from a local day on."""

    day: int
    tariff: int
    region: int
    power_va: int
    producer: bool


Contracts = dict[int, list[Contract]]
"""By dense index, in order of days."""


@dataclass
class Grown:
    """A version. pairs: (tariff, region) by class, as the rows of all versions first had them."""

    contracts: Contracts
    pairs: list[tuple[int, int]]
    register: Register
    _valid: dict[tuple[int, int], Contract | None] = field(default_factory=dict)
    _expected: dict[tuple[str, int], int] = field(default_factory=dict)

    def contract_of(self, meter: int, day: int) -> Contract | None:
        """What holds for a meter on a local day."""
        key = meter, day
        if key not in self._valid:
            due = [c for c in self.contracts.get(meter, ()) if c.day <= day]
            self._valid[key] = due[-1] if due else None
        return self._valid[key]

    def expected(self, label: str, day: int) -> int:
        """Meters that a scope has on a local day."""
        key = label, day
        if key not in self._expected:
            found = (self.contract_of(meter, day) for meter in self.contracts)
            self._expected[key] = sum(
                c is not None and of_label(label, c.tariff, c.region) for c in found
            )
        return self._expected[key]

    def labels(self, scopes: tuple[str, ...] = ("nation", "tariff", "region")) -> list[str]:
        tariffs = sorted({TARIFFS[c.tariff] for of in self.contracts.values() for c in of})
        regions = sorted({REGIONS[c.region] for of in self.contracts.values() for c in of})
        of = {"nation": ["nation"]}
        of["tariff"] = [f"tariff:{name}" for name in tariffs]
        of["region"] = [f"region:{name}" for name in regions]
        return [label for scope in scopes for label in of[scope]]


def of_label(label: str, tariff: int, region: int) -> bool:
    return label in ("nation", f"tariff:{TARIFFS[tariff]}", f"region:{REGIONS[region]}")


def _first() -> Contracts:
    """Meters change tariff and region, two of them come only later."""
    rng = random.Random(5)
    out: Contracts = {}
    for i in range(METERS):
        power, producer = (WIDE if i % 5 == 1 else SMALL), i % 4 == 0
        first = START + 3 if i in (3, 9) else LONG_AGO
        rows = [Contract(first, i % 3, i % 2, power, producer)]
        days = sorted(rng.sample(range(START + 1, START + DAYS), 2)) if i % 2 else []
        for k, day in enumerate(days):
            if day > first:
                region = (i + (k and rng.randrange(2))) % 2
                rows.append(Contract(day, (i + k + 1) % 3, region, power, producer))
        out[i] = rows
    return out


def _next(known: Contracts, rng: random.Random) -> Contracts:
    """What a version adds: new meters, and entries after the last one of those that are known."""
    added: Contracts = {}
    for meter in range(len(known), min(len(known) + rng.choice((0, 1, 1, 2)), MOST_METERS)):
        first = rng.choice((LONG_AGO, START + rng.randrange(-2, DAYS)))
        power, producer = rng.choice((SMALL, WIDE)), rng.random() < 0.5
        added[meter] = [Contract(first, rng.randrange(3), rng.randrange(2), power, producer)]
    for meter in rng.sample(sorted(known), rng.randrange(3, 9)):
        last = known[meter][-1]
        day = max(last.day + 1, rng.choice((0, START + rng.randrange(-2, DAYS))))
        tariff, region, power, producer = last[1:]
        what = rng.choice(("tariff", "tariff", "tariff", "region", "both", "power", "producer"))
        if what in ("tariff", "both"):
            tariff = (tariff + rng.choice((1, 2))) % rng.choice((3, 4))
        if what in ("region", "both"):
            region = (region + 1) % rng.choice((2, 3))
        power = WIDE + SMALL - power if what == "power" else power
        added[meter] = [Contract(day, tariff, region, power, producer ^ (what == "producer"))]
    return added


@functools.cache
def chain(which: int) -> tuple[Grown, ...]:
    """The versions of a chain, the first ones the same in all; built once a process."""
    rng, known, versions = random.Random(which), Contracts(), list[Grown]()
    pairs: list[tuple[int, int]] = []
    with tempfile.TemporaryDirectory(prefix="wattstorm-town-") as name:
        for number in range(VERSIONS if which else 1):
            added = _next(known, rng) if known else _first()
            rows = [(meter, c) for meter, of_meter in added.items() for c in of_meter]
            known = {m: [*known.get(m, []), *added.get(m, [])] for m in {**known, **added}}
            pairs = list(dict.fromkeys([*pairs, *((c.tariff, c.region) for _, c in rows)]))
            register = _built(Path(name), number, rows)
            versions.append(Grown(known, pairs, register))
            assert register.count == len(known)
            names = register.tariffs + register.regions
            assert names == TARIFFS[: len(register.tariffs)] + REGIONS[: len(register.regions)]
    return tuple(versions)


def _built(directory: Path, number: int, rows: list[tuple[int, Contract]]) -> Register:
    lines = ["external_id,tariff,region,contracted_power_va,producer,valid_from"]
    for meter, c in rows:
        day = EPOCH + timedelta(days=c.day)
        where = f"{TARIFFS[c.tariff]},{REGIONS[c.region]}"
        lines.append(f"{1000 + meter},{where},{c.power_va},{str(c.producer).lower()},{day}")
    source = directory / f"{number}.csv"
    source.write_text("\n".join(lines) + "\n")
    size = None if number else PARTITION
    built = build_register([source], directory / "register", partition_size=size)
    ids = np.arange(1000, 1000 + built.count, dtype=np.uint64)
    assert built.lookup(ids).tolist() == list(range(built.count))
    return built
