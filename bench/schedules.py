"""Random schedules of all that may go wrong, against the whole stream in one process.

    python -m bench.schedules [--seeds 0:10000] [--first] [--json]
    python -m bench.schedules --seed 479 [--shrink]

Each seed is a schedule: producers, tasks, publishers that die, sleep and wake up, a store that
loses, refuses and delays, power cuts, full disks, clocks that step; in the end everything must
have flowed off, and sums, counters and published rows must be what a plain recomputation of the
log makes of it (tests/simulation). No wall clock: a seed always does the same.

`--seeds` runs a range on all cores and says which failed; `--seed` runs one and prints what
happened, with `--shrink` after leaving out all that it does not need to fail.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator

CHUNK = 25


def failures(seeds: range, first: bool = False) -> list[tuple[int, str]]:
    """(seed, what was wrong first) of those that fail; with `first` of the first only."""
    from tests.simulation.plan import plan
    from tests.simulation.schedule import run
    from tests.simulation.stage import set_up

    logging.disable(logging.CRITICAL)
    gc.disable()  # of little use within a schedule, and a fifth of the time
    try:
        failed: list[tuple[int, str]] = []
        with set_up():
            for seed in seeds:
                if found := run(plan(seed)).wrong:
                    failed.append((seed, found[0]))
                    if first:
                        break
        return failed
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()  # what is left are modules and towns: the next collection passes them over


def run_all(seeds: range, workers: int, *, first: bool = False) -> Iterator[tuple[int, str]]:
    """The failures of a range, found by some processes at once."""
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    if workers == 1:
        for chunk in chunks:
            yield from failures(chunk, first=first)
        return
    # Spawned, not forked: numba and Lua are no friends of a fork. Nice: tests that wait run beside.
    spawn, most = multiprocessing.get_context("spawn"), min(workers, len(chunks))
    with spawn.Pool(most, initializer=os.nice, initargs=(10,)) as pool:
        for found in pool.imap_unordered(failures, chunks):
            yield from found


def show(seed: int, *, shrunk: bool) -> int:
    """One schedule, told step by step; 1 if it fails."""
    from tests.simulation.plan import plan
    from tests.simulation.schedule import run
    from tests.simulation.shrink import shrink
    from tests.simulation.stage import set_up

    logging.disable(logging.CRITICAL)
    with set_up():
        whole = plan(seed)
        if shrunk:
            whole = shrink(whole)
        outcome = run(whole, tracing=True)
    print(f"schedule {seed}: {whole.rules}")
    print(*outcome.trace, sep="\n")
    print(*(outcome.wrong[:12] or ["exact"]), sep="\n")
    return int(bool(outcome.wrong))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    parser.add_argument("--seeds", default="0:10000", help="FIRST:AFTER_LAST")
    parser.add_argument("--seed", type=int, help="run this one and tell what happened")
    parser.add_argument("--shrink", action="store_true", help="with --seed: fewer steps that fail")
    parser.add_argument("--first", action="store_true", help="end with the first that fails")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return show(arguments.seed, shrunk=arguments.shrink)
    first, last = map(int, arguments.seeds.split(":"))
    start, failed = time.perf_counter(), 0
    workers = 1 if arguments.first else arguments.workers
    for seed, wrong in run_all(range(first, last), workers, first=arguments.first):
        failed += 1
        print(f"seed {seed}: {wrong.strip().splitlines()[-1][:300]}", file=sys.stderr)
        if arguments.first:
            return 1
    figures = {
        "schedules": last - first,
        "failures": failed,
        "seconds": round(time.perf_counter() - start, 1),
    }
    print(json.dumps(figures) if arguments.json else figures)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
