"""Files into arrays of readings, beside polars' own reading of the same files; a command's start.

    python -m bench.ingest [--json] [--meters 20000] [--days 2]

Half-hours in order of time, as Parquet and as CSV. `wattstorm` is what `ingest` does up to the log:
the look at the whole file (order, interval, units, stamps), the reading, and each cell made a
number or refused. `polars` is read_parquet, and read_csv with dates parsed. In seconds of CPU, all
threads together, the best of three; start_s is the CPU of `wattstorm --help` and of `status -h`,
the slower of the two.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from bench._arguments import parse
from bench._report import report
from wattstorm.files.columns import Wanted
from wattstorm.files.readings import Batches, read_files
from wattstorm.ingest.from_files import readings_of

BATCH = 500_000
_MAIN = "from wattstorm.cli.main import main; main()"


def cpu(run: Callable[[], object], times: int = 3, who: int = resource.RUSAGE_SELF) -> float:
    """CPU seconds of the best of some runs."""

    def used() -> float:
        now = resource.getrusage(who)
        return now.ru_utime + now.ru_stime

    best = float("inf")
    for _ in range(times):
        before = used()
        run()
        best = min(best, used() - before)
    return best


def write(folder: Path, meters: int, days: int) -> tuple[Path, Path]:
    """The same readings as Parquet and as CSV."""
    rng = np.random.default_rng(1)
    slots = days * 48
    start = np.datetime64("2025-06-01T00:00", "us") + np.arange(slots) * np.timedelta64(30, "m")
    frame = pl.DataFrame(
        {
            "meter": np.tile(21 * 10**12 + 7 * np.arange(meters), slots),
            "ts_utc": np.repeat(start.astype("datetime64[us]"), meters),
            "kwh": rng.gamma(2.0, 0.1, meters * slots).round(3),
        }
    ).with_columns(pl.col("ts_utc").dt.replace_time_zone("UTC"))
    parquet, text = folder / "readings.parquet", folder / "readings.csv"
    frame.write_parquet(parquet)
    stamps = pl.col("ts_utc").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    frame.with_columns(stamps).write_csv(text)
    return parquet, text


def read(file: Path) -> int:
    """All readings of a file as arrays, as `wattstorm ingest` has them before the log."""
    source = read_files([file], Wanted(slot_minutes=30, local_zone="Europe/Paris"))
    return sum(len(readings_of(frame)) for frame in Batches(source.frame, BATCH))


def start(*arguments: str) -> float:
    command = [sys.executable, "-c", _MAIN, *arguments]
    return cpu(
        lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL),
        who=resource.RUSAGE_CHILDREN,
    )


def main() -> None:
    given = parse(__doc__, meters=20_000, days=2)
    n = given.meters * given.days * 48
    with tempfile.TemporaryDirectory(prefix="ws-", dir="/tmp") as directory:
        parquet, text = write(Path(directory), given.meters, given.days)
        size = text.stat().st_size / 1e6
        if read(parquet) != n:  # and the kernels are there
            raise SystemExit("not all readings were read")
        csv_s, parquet_s = cpu(lambda: read(text)), cpu(lambda: read(parquet))
        polars_csv = cpu(lambda: pl.read_csv(text, try_parse_dates=True))
        polars_parquet = cpu(lambda: pl.read_parquet(parquet))
    begun = max(start("--help"), start("status", "-h"))
    rows: list[tuple[str, float | None, str]] = [
        ("CSV, wattstorm", n / csv_s / 1e6, "M readings/s of CPU"),
        ("CSV, wattstorm", size / csv_s, "MB/s of CPU"),
        ("CSV, polars", n / polars_csv / 1e6, "M readings/s of CPU"),
        ("Parquet, wattstorm", n / parquet_s / 1e6, "M readings/s of CPU"),
        ("Parquet, polars", n / polars_parquet / 1e6, "M readings/s of CPU"),
        ("a command's start", begun, "s of CPU"),
    ]
    figures = {
        "csv_readings_per_s": n / csv_s,
        "csv_mb_per_s": size / csv_s,
        "csv_ratio": polars_csv / csv_s,
        "parquet_readings_per_s": n / parquet_s,
        "parquet_ratio": polars_parquet / parquet_s,
        "start_s": begun,
    }
    report(f"{n:,} readings of {given.meters:,} meters", rows, figures, given.json)


if __name__ == "__main__":
    main()
