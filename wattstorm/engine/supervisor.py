"""The local engine: the tasks of a topology, each in a process of this machine, kept alive.

    Engine(settings, store_url).run()               until SIGTERM, Ctrl-C or should_stop()
    Engine(settings, store_url).run(drain=True)     until the log is empty and published

A worker that dies is started again after a pause that grows; one that falls
silent is killed and replaced. Nothing is lost by either: a worker takes up each
of its partitions at the fence. At a stop the sources end first, then who takes their
streams, and so on: each saves its state, and publishes what was committed. Whatever
cannot wait is killed, which costs the next start a replay and nothing else.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from wattstorm.engine.components import (
    Component,
    components,
    joined,
    load_topology,
    processes,
    stages,
    task_name,
)
from wattstorm.engine.lease import Lease
from wattstorm.engine.process import WorkerProcess
from wattstorm.engine.routes import routes_of
from wattstorm.engine.task import TICK
from wattstorm.engine.watch import Watch
from wattstorm.errors import EngineError, StoreError
from wattstorm.register.register import Register
from wattstorm.setting_values import split_password
from wattstorm.settings import PASSWORD_VARIABLE, Settings
from wattstorm.store.connection import connected
from wattstorm.store.store import Store
from wattstorm.store.workers import ENGINE, TOPOLOGY, Presence

LOOK_S = 0.05
TELL_S = 1.0
STUCK_S = 30.0
STOP_S = 60.0
GIVE_UP = 5
"""Deaths in a row before a first heartbeat: then it is not bad luck."""
_log = logging.getLogger("wattstorm.engine")


class Engine:
    """Runs `topology` ("module:Class") for the store at `store_url`.

    workers: tasks of a component that holds partitions, 0 for one per core, never more than
    partitions; of the others as many as the topology says (`engine.components`). stuck_s:
    silence after which a worker is replaced. stop_s: time to save at a stop.
    """

    def __init__(
        self,
        settings: Settings,
        store_url: str,
        *,
        topology: str | None = None,
        workers: int | None = None,
        stuck_s: float = STUCK_S,
        stop_s: float = STOP_S,
    ) -> None:
        self.settings, self.store_url = settings, store_url
        self.topology = topology or settings.engine.topology
        self.workers = (settings.engine.workers if workers is None else workers) or _cores()
        self.stuck_s, self.stop_s = stuck_s, stop_s
        self._held: list[WorkerProcess] = []
        self._store_down = False

    def run(
        self,
        *,
        drain: bool = False,
        take_over: bool = False,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Run until told to stop, or drained; then stop cleanly.

        take_over: take the store from an engine that runs on it. EngineError: there is
        one, or took this one's; or a worker that cannot start at all.
        """
        topology = load_topology(self.topology)
        self.name, specs = topology.__name__, topology.specs
        register = Register.open(Path(self.settings.data.directory) / "register")
        table = joined(
            components(specs, register.partitions, holders=self.workers, settings=self.settings)
        )
        routes_of(specs, table)
        with connected(self.settings, self.store_url) as connection:
            connection.check()
            watch = Watch(connection, self.settings, register)
            if not take_over:
                refuse_beside_storm(watch.store, self.name)
            lease = Lease(watch.store.lease(self.name), self.name)
            lease.take(take_over=take_over)
            try:
                watch.introduce()
                with _signals() as told:
                    self._supervise(
                        watch,
                        lease,
                        table,
                        drain,
                        lambda: bool(told) or should_stop(),
                        lambda: len(told) > 1,
                    )
            finally:
                lease.release()

    def _supervise(
        self,
        watch: Watch,
        lease: Lease,
        table: list[Component],
        drain: bool,
        stopping: Callable[[], bool],
        hurry: Callable[[], bool],
    ) -> None:
        watch.store.clear_beats(self.name)  # of who ended without a word
        prefix = self.settings.store.prefix
        presence = Presence(watch.connection, prefix, {TOPOLOGY: self.name}, ENGINE, None)
        wires = tempfile.mkdtemp(prefix="wattstorm-")
        self._held = list(self._workers(table, wires))
        next_tell = 0.0
        try:
            while not stopping():
                self._tend()
                if time.monotonic() >= next_tell:
                    next_tell = time.monotonic() + TELL_S
                    self._with_store(lambda: self._tell(watch, lease, presence))
                if drain and self._with_store(watch.drained):
                    break
                time.sleep(LOOK_S)
        finally:
            self._stop(table, hurry)
            shutil.rmtree(wires, ignore_errors=True)
            with suppress(StoreError):
                watch.store.clear_beats(self.name)

    def _tend(self) -> None:
        """Start what is due, hear what is said, replace what died or hangs."""
        now = time.monotonic()
        for worker in self._held:
            worker.listen()
            if worker.silent_s() > self.stuck_s:
                _log.error(
                    "%s has been silent for %.0f s and is replaced",
                    worker.name,
                    worker.silent_s(),
                )
                worker.kill()
            if worker.ended() and worker.early_deaths >= GIVE_UP:
                raise EngineError(
                    f"{worker.name} does not start: {worker.error or 'see its messages'}",
                    "mend that, then run again",
                )
            if worker.process is None and now >= worker.start_at:
                worker.start()

    def _tell(self, watch: Watch, lease: Lease, presence: Presence) -> bool:
        lease.renew()
        watch.introduce_again()
        errors = [f"{w.name}: {w.error}" for w in self._held if w.error]
        presence.tell(
            state="running" if all(w.ready for w in self._held) else "starting",
            restarts=sum(max(0, w.starts - 1) for w in self._held),
            error=errors[-1] if errors else "",
        )
        return True

    def _with_store(self, work: Callable[[], bool]) -> bool:
        """`work()`; False, said once, while the store does not answer."""
        try:
            done = work()
        except StoreError as error:
            if not self._store_down:
                _log.error("the store does not answer, the engine waits: %s", error)
            self._store_down = True
            return False
        if self._store_down:
            _log.warning("the store is back")
        self._store_down = False
        return done

    def _stop(self, table: list[Component], hurry: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self.stop_s
        for stage in stages(table):
            names = {name for component in stage for name in component.task_names}
            running = [w for w in self._held if w.name in names and w.process is not None]
            for worker in running:
                worker.ask_to_stop()
            while running and time.monotonic() < deadline and not hurry():
                for worker in self._held:
                    worker.listen()
                running = [w for w in running if w.process and w.process.poll() is None]
                time.sleep(0.01)
        for worker in self._held:
            if not worker.wait(0.0):
                _log.error("%s did not stop in time and was killed", worker.name)

    def _workers(self, table: list[Component], wires: str) -> Iterator[WorkerProcess]:
        """One for each process, with what it is told and its environment: there, not here, is
        the password."""
        url, password = split_password(self.store_url)
        environ = {**os.environ, **self.settings.secrets()}
        if password:
            environ[PASSWORD_VARIABLE] = password
        job = {
            "topology": self.topology,
            "table": [asdict(component) for component in table],
            "wires": wires,
            "parent": os.getpid(),
            "conf": {
                "wattstorm": self.settings.to_conf(),
                "wattstorm.store_url": url,
                TOPOLOGY: self.name,
                TICK: 1,
            },
        }
        for tasks in processes(table):
            own = [(component.name, index) for component, index in tasks]
            yield WorkerProcess({**job, "tasks": own, "process": task_name(*own[-1])}, environ)


def refuse_beside_storm(store: Store, topology: str) -> None:
    """EngineError if the topology works on this store on a Storm cluster."""
    for beat in store.beats(topology):
        if beat["alive"] and beat.get("storm"):
            raise EngineError(
                f"Storm topology {beat['storm']} runs on this store",
                "end it first (wattstorm undeploy), or take its partitions over with --take-over",
            )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _signals() -> Iterator[list[int]]:
    """The stop signals received meanwhile; none outside the main thread, which alone hears them."""
    told: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {n: signal.signal(n, lambda number, _: told.append(number)) for n in numbers}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
