"""What one task that sums holds in memory, by partitions of 550,000 meters and open days.

    python -m bench.memory [--partitions 2]

Resident memory of this process after each step: what a task imports, its compiled loops, each
open day with every reading of every meter, and the copy that a snapshot is written from.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import bolts.aggregate  # noqa: F401  (a task's imports)
from wattstorm.metering import block as blocks
from wattstorm.metering.partition import Partition, Rules
from wattstorm.register.register import Register
from wattstorm.settings import Settings

METERS = 550_000
DAY = 19_700
BUILD = "import sys; from tests.register.registers import small_register as r; from pathlib import Path; r(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))"  # noqa: E501


def resident_mb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024


def tell(what: str) -> None:
    print(f"{what:<42}{resident_mb():>6} MB", flush=True)


def feed(partitions: list[Partition], slots: range) -> None:
    """Every meter's reading of each slot, in blocks of 50,000."""
    for slot in slots:
        arrived = (slot + 2) * 1_800_000
        for partition in partitions:
            wh = np.full(METERS, slot % 2_000, np.uint16)
            for at in range(0, METERS, 50_000):
                meters = np.arange(at, min(at + 50_000, METERS)) + partition.first
                block = blocks.readings(
                    partition.number, meters, slot, wh[: meters.size], producer="bench"
                )
                partition.apply(block, partition.position + 1, arrived)
            partition.keep()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, default=1)
    count = parser.parse_args().partitions
    tell("imports")
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(
            [sys.executable, "-c", BUILD, place, str(count * METERS), str(METERS)], check=True
        )
        register = Register.open(Path(place) / "register")
        rules = Rules.from_settings(Settings.load(environ={}))
        partitions = [Partition(p, register, rules) for p in range(count)]
        tell(f"register and {count} partitions of {METERS:,}")
        feed(partitions, range(DAY * 48, DAY * 48 + 1))
        tell("first slot, loops compiled")
        for day in range(4):
            feed(partitions, range((DAY + day) * 48 + (day == 0), (DAY + day + 1) * 48))
            tell(f"day {day + 1}" + (", the first one closed" if day == 3 else ""))
        arrays, _ = partitions[0].snapshot()
        copies = [np.array(array) for array in arrays.values()]
        tell(f"copy of {sum(c.nbytes for c in copies) >> 20} MB for a snapshot of one partition")


if __name__ == "__main__":
    main()
