"""A worker process of the local engine: one task of one component, with a source its source's.

    python -m wattstorm.engine.worker        (started by the supervisor only)

So a component that is slow, or holds Python's lock, or dies, stands in front of no other; but for a
source, which is asked only when who takes from it has nothing to do.

Its standard input is the supervisor's hand: the first line says what to run,
"stop" asks for a clean stop, and its end means that the supervisor is gone: then
the worker ends at once, whatever it is doing. Once a second, between two
messages, it writes a line about itself to the pipe that it was given: so a
worker that hangs inside a component falls silent and is replaced.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from wattstorm.engine.components import Component, load_topology, task_name
from wattstorm.engine.task import Task, targets_of
from wattstorm.engine.wires import Place, Wires
from wattstorm.errors import EngineError
from wattstorm.logs import to_stderr
from wattstorm.processes import end_with_parent

BEAT_S = 1.0
MAX_PENDING = 256
"""Tuples of a spout under way, at most, where the topology does not say."""
NAP_S = 0.002
"""Pause after a spout had nothing to say; an answer ends it."""
IDLE_S = 0.1
"""The longest wait for a message: what is not a message is looked at as often."""
FAILED, ORPHANED = 1, 86


class Hand:
    """The supervisor's end of standard input."""

    def __init__(self, line: Callable[[], bytes]) -> None:
        self._line = line
        self.stopping = False

    def watch(self) -> None:
        """Until the pipe ends; in a thread, so that a busy worker hears it too."""
        while line := self._line():
            if line.strip() == b"stop":
                self.stopping = True
        os._exit(ORPHANED)


class Beat:
    """Tells the supervisor how this worker is."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._next = 0.0

    def tell(self, **what: Any) -> None:
        # One write below PIPE_BUF: whole or not at all. A full pipe is the supervisor's trouble.
        line = (json.dumps(what) + "\n").encode()[:4000]
        try:
            os.write(self._descriptor, line)
        except BlockingIOError:
            pass
        except BrokenPipeError:
            os._exit(ORPHANED)

    def maybe(self, now: float, tasks: Sequence[Task]) -> None:
        if now >= self._next:
            self._next = now + BEAT_S
            for task in tasks:
                task.measure()
            self.tell(
                acked=sum(task.acked for task in tasks),
                failed=sum(task.failed for task in tasks),
                pending=sum(task.pending for task in tasks),
            )


def run_loop(
    tasks: Sequence[Task],
    max_pending: int,
    stopping: Callable[[], bool],
    beat: Callable[[float], None],
) -> None:
    """Until told to stop: ticks, then what came, then new tuples of a spout."""
    sources = [task for task in tasks if task.source]
    ticking = [task for task in tasks if task.tick_s]
    wait = 0.0
    while not stopping():
        for task in tasks:
            task.hear(wait)
            wait = 0.0  # the first waited for all
        now = time.monotonic()
        beat(now)
        for task in ticking:
            task.tick(now)
        if any(task.work() for task in tasks):
            continue
        if sources:
            asked = [task.pending < max_pending and task.ask() for task in sources]
            if not any(asked):
                # It may have waited itself.
                wait = max(0.0, now + NAP_S - time.monotonic())
        else:
            due = min((task.next_tick - now for task in ticking), default=IDLE_S)
            wait = max(0.0, min(IDLE_S, due))


def run(job: dict[str, Any], hand: Hand) -> None:
    beat = Beat(job["beat"])
    try:
        topology = load_topology(job["topology"])
        table = [Component(**row) for row in job["table"]]
        place = Place(task_name(*own) for own in job["tasks"])
        tasks = []
        for name, index in job["tasks"]:
            targets = targets_of(topology, table, name)
            wires = Wires(Path(job["wires"]), task_name(name, index), targets, place)
            tasks.append(Task(topology, table, name, index, job["conf"], wires))
        for task in tasks:
            if not task.source:
                task.wires.listen()
        given = topology.config.get("topology.max.spout.pending")
        run_loop(
            tasks,
            int(given or MAX_PENDING),
            lambda: hand.stopping,
            lambda now: beat.maybe(now, tasks),
        )
        for task in tasks:
            task.stop()
    except Exception as error:
        beat.tell(error=f"{type(error).__name__}: {error}"[:2000])
        raise


def die_with(parent: int) -> None:
    """End with the supervisor even if a thread of ours cannot run (Linux only)."""
    end_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(ORPHANED)


def main() -> int:
    first = sys.stdin.buffer.readline()
    if not first:
        return ORPHANED
    job = json.loads(first)
    die_with(job["parent"])
    hand = Hand(sys.stdin.buffer.readline)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: setattr(hand, "stopping", True))
    threading.Thread(target=hand.watch, daemon=True, name="hand").start()
    os.set_blocking(job["beat"], False)
    name = job["process"]
    to_stderr(logging.INFO, f"{name}: %(levelname)s %(name)s: %(message)s", name)
    try:
        run(job, hand)
    except Exception:
        logging.getLogger("wattstorm.engine").exception("%s fails", name)
        return FAILED
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        raise EngineError("a worker is started by `wattstorm run`", "use that")
    status = main()
    sys.stderr.flush()
    os._exit(status)  # the thread that listens to the supervisor would hold the interpreter up
