"""The whole path on this machine: producer, store, engine, all on the same cores.

    python -m bench.local [--json] [--seconds 8] [--beside N] [--legs]

Flat out with blocks of 50,000 and of 5,000 readings, then 200,000 readings/s in
blocks of 5,000 with the time from append to committed sums of each block. All
durable (AOF every second), checked, joined, deduplicated, exactly once. Every
reading is accounted for at the end: `lost` is what the audit does not have.
--beside N: beside N processes that each want a core. --legs: only the live load,
with stamps on its way, and where the time goes.
"""

from __future__ import annotations

from bench._arguments import parse
from bench._beside import busy
from bench._legs import TRACED, print_legs
from bench._load import METERS, PARTITION, flat_out, live
from bench._pipeline import pipeline
from bench._report import report


def legs(seconds: float) -> None:
    with pipeline(METERS, PARTITION, **{"engine.topology": TRACED}) as run:
        done = live(run, 200_000, seconds)
        print_legs(run, done)


def measure(seconds: float, beside: int, as_json: bool) -> None:
    with pipeline(METERS, PARTITION) as run:
        big, lost_big = flat_out(run, 50_000, seconds)
    with pipeline(METERS, PARTITION) as run:
        small, lost_small = flat_out(run, 5_000, seconds)
    with pipeline(METERS, PARTITION) as run:
        done = live(run, 200_000, seconds)
    figures = {
        "flat_out_50k_mps": big,
        "flat_out_5k_mps": small,
        "p50_ms_at_200k": done.percentile(50),
        "p99_ms_at_200k": done.percentile(99),
        "max_ms_at_200k": done.percentile(100),
        "lost": lost_big + lost_small + done.lost,
        "beside": beside,
    }
    rows = [
        ("flat out, blocks of 50,000", big, "M readings/s"),
        ("flat out, blocks of 5,000", small, "M readings/s"),
        ("append to committed sums, p50", done.percentile(50), "ms at 200,000/s"),
        ("append to committed sums, p99", done.percentile(99), "ms at 200,000/s"),
        ("append to committed sums, max", done.percentile(100), "ms at 200,000/s"),
        ("against the 2014 figure, 50,000", big / 0.2, "x, on 1/32 of its cores"),
        ("lost", figures["lost"], "readings"),
    ]
    report("whole path, producer and store on the same cores", rows, figures, as_json)


def main() -> None:
    arguments = parse(__doc__, seconds=8.0, beside=0, legs=False)
    with busy(arguments.beside):
        if arguments.legs:
            legs(arguments.seconds)
        else:
            measure(arguments.seconds, arguments.beside, arguments.json)


if __name__ == "__main__":
    main()
