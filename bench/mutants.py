"""Do the quick tests notice when one line that carries the promise is broken?

    python -m bench.mutants [--json] [--only TEXT] [--seeds 400] [--workers 2]

Each mutant of bench/mutants.toml is applied alone, in a copy of the tree. First some hundred
schedules of the simulation run against it, then the quick tests of the rooms that it concerns,
until one fails (or hangs): then it is killed. Those that survive are listed with what they break.
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
LIMIT_S = 240.0
TESTS = {
    "bolts/publish": ["stream/test_publish", "stream/test_closing"],
    "bolts/taking": ["stream/test_histories", "stream/test_minibatch", "stream/test_saving"],
    "bolts/saving": ["stream/test_saving", "stream/test_histories", "stream/test_power_cut"],
    "bolts/": [
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
    "wattstorm/store/lua/write_results": ["store/test_results", "stream/test_publish"],
    "wattstorm/store/lua/fold": ["stream/test_closing"],
    "wattstorm/store/closing": ["stream/test_closing"],
    "wattstorm/store/lua/": ["store/test_commit", "store/test_log", "store/test_backlog"],
    "wattstorm/store/s": ["store/test_snapshots", "stream/test_power_cut"],
    "wattstorm/store/": ["store/test_commit", "store/test_log", "store/test_producer"],
    "wattstorm/metering/": [
        "metering/test_partition",
        "metering/test_undo",
        "metering/test_kernels",
    ],
}
"""Where a mutant's file begins, the first that fits → the tests that concern it."""


@dataclass(frozen=True)
class Mutant:
    """`before` stands once in `file`; `why`: what `after` breaks."""

    file: str
    before: str
    after: str
    why: str


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
        for name, command in _commands(mutant, tree, seeds):
            if _fails(command, tree):
                return name
        return ""
    finally:
        file.write_text(whole)
        os.utime(file, ns=times)  # compiled kernels go by it


def _commands(mutant: Mutant, tree: Path, seeds: int) -> Iterator[tuple[str, list[str]]]:
    simulation = ["-m", "bench.schedules", "--seeds", f"0:{seeds}", "--first"]
    yield "simulation", [sys.executable, *simulation]
    room = next(room for room in TESTS if mutant.file.startswith(room))
    quick = ["-q", "-x", "-m", "not slow", "-p", "no:cacheprovider", "--no-header"]
    files = [f"tests/{name}.py" for name in TESTS[room]]
    yield "its room's tests", [sys.executable, "-m", "pytest", *quick, *files]


def _fails(command: list[str], tree: Path) -> bool:
    """Whether it ends with an error, or not at all."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        ended = subprocess.run(command, cwd=tree, timeout=LIMIT_S, check=False, **quiet)
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
    parser.add_argument("--seeds", type=int, default=400, help="schedules for each")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    chosen = [m for m in mutants() if arguments.only in m.file or arguments.only in m.why]
    start, survivors = time.perf_counter(), []
    with trees(arguments.workers) as free, ThreadPoolExecutor(arguments.workers) as pool:

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
