"""Do the quick tests notice when one line that carries the promise is broken?

    python -m bench.mutants [--json] [--only TEXT] [--rows 0:40] [--seeds 400] [--workers 2]

Each mutant of bench/mutants.toml is applied alone, in a copy of the tree. Against it run the test
that was written for it, some schedules of the simulation, the quick tests of its room, and more
schedules, until one fails (or hangs): then it is killed. The same must pass on the tree as it is:
that is tried first. Those that survive are listed with what they break.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parent.parent
LEFT_OUT = (".*", "_build", "*.egg-info", "docs", "deploy")
LIMIT_S = 300.0
FIRST_SEEDS = 60
"""Most that a schedule can kill is killed by one of these."""
TESTS = {
    "bolts/publish": ["stream/test_publish", "stream/test_closing"],
    "wattstorm/stream/taking": [
        "stream/test_histories",
        "stream/test_minibatch",
        "stream/test_saving",
    ],
    "wattstorm/stream/saving": [
        "stream/test_saving",
        "stream/test_histories",
        "stream/test_power_cut",
    ],
    "wattstorm/stream/": [
        "stream/test_minibatch",
        "stream/test_poison",
        "stream/test_power_cut",
        "stream/test_publish",
    ],
    "wattstorm/store/lua/commit": [
        "store/test_commit",
        "stream/test_closing",
        "stream/test_poison",
    ],
    "wattstorm/store/lua/write_results": [
        "store/test_results",
        "stream/test_publish",
        "stream/test_closing",
        "stream/test_slots_log",
    ],
    "wattstorm/store/lua/keep_within": ["stream/test_slots_log"],
    "wattstorm/store/lua/fold": ["stream/test_closing"],
    "wattstorm/store/closing": ["stream/test_closing"],
    "wattstorm/store/lua/set_aside": ["store/test_commit"],
    "wattstorm/store/lua/": [
        "store/test_commit",
        "store/test_fence",
        "store/test_log",
        "store/test_backlog",
    ],
    "wattstorm/store/sums": ["store/test_commit", "stream/test_closing"],
    "wattstorm/store/s": ["store/test_snapshots", "store/test_segments", "stream/test_power_cut"],
    "wattstorm/store/": [
        "store/test_commit",
        "store/test_fence",
        "store/test_log",
        "store/test_producer",
    ],
    "wattstorm/metering/results": ["metering/test_results", "stream/test_publish"],
    "wattstorm/errors": ["stream/test_poison"],
    "spouts/": ["stream/test_readings_spout"],
    "wattstorm/metering/block": ["metering/test_block", "metering/test_any_block"],
    "wattstorm/metering/balance": ["readers/test_balances"],
    "wattstorm/metering/": [
        "metering/test_partition",
        "metering/test_watermark",
        "metering/test_undo",
        "metering/test_kernels",
    ],
}
"""Where a mutant's file begins, the first that fits → the tests that concern it."""


@dataclass(frozen=True)
class Mutant:
    """`before` stands once in `file`; `why`: what `after` breaks; `by`: the test that says so,
    where there is one of its own ("stream/test_saving.py::test_…")."""

    file: str
    before: str
    after: str
    why: str
    by: str = ""


def mutants() -> list[Mutant]:
    with (ROOT / "bench" / "mutants.toml").open("rb") as file:
        listed = [Mutant(**row) for row in tomllib.load(file)["mutant"]]
    for mutant in listed:
        found = (ROOT / mutant.file).read_text().count(mutant.before)
        if found != 1:
            raise SystemExit(f"{mutant.file} holds {mutant.before!r} {found} times, not once")
    return listed


def killed_by(mutant: Mutant, tree: Path, seeds: int) -> str:
    """What kills it, '' if nothing does; `tree` is left as it was."""
    file = tree / mutant.file
    whole, times = file.read_text(), (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    file.write_text(whole.replace(mutant.before, mutant.after))
    try:
        for name, command in _commands(mutant, seeds):
            if _fails(command, tree):
                return name
        return ""
    finally:
        file.write_text(whole)
        os.utime(file, ns=times)  # compiled kernels go by it


def _commands(mutant: Mutant, seeds: int) -> Iterator[tuple[str, list[str]]]:
    """The likeliest first."""
    if mutant.by:
        yield f"tests/{mutant.by}", _tests([f"tests/{mutant.by}"])
    yield "simulation", _schedules(0, min(FIRST_SEEDS, seeds))
    yield "its room's tests", _tests(_of_room(mutant))
    if seeds > FIRST_SEEDS:
        yield "simulation", _schedules(FIRST_SEEDS, seeds)


def _schedules(first: int, stop: int) -> list[str]:
    return [sys.executable, "-m", "bench.schedules", "--seeds", f"{first}:{stop}", "--first"]


def _tests(files: list[str]) -> list[str]:
    quick = ["-q", "-x", "-m", "not slow", "-p", "no:cacheprovider", "--no-header"]
    return [sys.executable, "-m", "pytest", *quick, *files]


def _of_room(mutant: Mutant) -> list[str]:
    room = next(room for room in TESTS if mutant.file.startswith(room))
    return [f"tests/{name}.py" for name in TESTS[room]]


def check_whole(chosen: list[Mutant], tree: Path, seeds: int) -> None:
    """Nothing is killed by what fails anyway."""
    files = sorted(
        {f for m in chosen for f in _of_room(m)} | {f"tests/{m.by}" for m in chosen if m.by}
    )
    for command in (_schedules(0, seeds), _tests(files)):
        if _fails(command, tree, 10 * LIMIT_S):
            raise SystemExit(f"without any mutant this fails already: {' '.join(command)}")


def _fails(command: list[str], tree: Path, limit_s: float = LIMIT_S) -> bool:
    """Whether it ends with an error, or not at all."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        ended = subprocess.run(command, cwd=tree, timeout=limit_s, check=False, **quiet)
    except subprocess.TimeoutExpired:
        return True
    return ended.returncode != 0


@contextmanager
def trees(count: int) -> Iterator[SimpleQueue[Path]]:
    """Copies of this tree, for so many at once."""
    with tempfile.TemporaryDirectory(prefix="wattstorm-mutants-") as name:
        queue: SimpleQueue[Path] = SimpleQueue()
        for i in range(count):
            copy = Path(name) / str(i)
            shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
            queue.put(copy)
        yield queue


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    parser.add_argument("--only", default="", help="those whose file or why has this text")
    parser.add_argument("--rows", default=":", help="FIRST:AFTER_LAST of those")
    parser.add_argument("--seeds", type=int, default=400, help="schedules for each")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    chosen = [m for m in mutants() if arguments.only in m.file or arguments.only in m.why]
    first, _, stop = arguments.rows.partition(":")
    chosen = chosen[int(first or 0) : int(stop) if stop else None]
    start, survivors = time.perf_counter(), []
    with trees(arguments.workers) as free, ThreadPoolExecutor(arguments.workers) as pool:
        tree = free.get()
        check_whole(chosen, tree, arguments.seeds)
        free.put(tree)

        def judged(mutant: Mutant) -> tuple[Mutant, str]:
            tree = free.get()
            try:
                return mutant, killed_by(mutant, tree, arguments.seeds)
            finally:
                free.put(tree)

        for mutant, by in pool.map(judged, chosen):
            if not by:
                survivors.append(mutant)
            fate = f"killed by {by}" if by else "SURVIVES"
            print(f"{mutant.file}: {mutant.why}: {fate}", file=sys.stderr, flush=True)
    figures = {
        "mutants": len(chosen),
        "killed": len(chosen) - len(survivors),
        "survivors": [f"{m.file}: {m.why}" for m in survivors],
        "seconds": round(time.perf_counter() - start, 1),
    }
    print(json.dumps(figures) if arguments.json else figures)
    return int(len(survivors) > 0.05 * len(chosen))


if __name__ == "__main__":
    sys.exit(main())
