"""A topology's life on a cluster: check, submit, wait until it works; drain, end.

Whatever goes wrong while deploying, the cluster is left as it was found: a topology that does
not come to work is ended again, and the error says what stood in the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from wattstorm.cluster.environment import Environment
from wattstorm.cluster.nimbus import Nimbus
from wattstorm.cluster.report import telling
from wattstorm.cluster.submission import submit, topology_options
from wattstorm.engine.components import components, load_topology, task_name
from wattstorm.engine.lease import holder
from wattstorm.engine.watch import Watch
from wattstorm.errors import ClusterError
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store.connection import Connection

Say = Callable[[str], None]
STORM_VERSIONS = (2,)
"""Major versions on which the shell protocol and Nimbus's interface are known to be ours."""
START_S = 240.0
QUIET_S = 60.0
UNEXPLAINED_S = 8.0
LOOK_S = 0.25


@dataclass(frozen=True)
class Deployment:
    """One topology on one cluster, over one store."""

    environment: Environment
    settings: Settings
    store_url: str
    connection: Connection
    register: Register
    say: Say

    @property
    def name(self) -> str:
        return self.settings.storm.name

    @property
    def topology(self) -> str:
        """What leases and heartbeats call it: its class, on either engine."""
        return self.settings.engine.topology.rpartition(":")[2]

    @cached_property
    def tasks(self) -> dict[str, int]:
        """Component → tasks, of the topology's own table."""
        storm = self.settings.storm
        specs = load_topology(self.settings.engine.topology).specs
        table = components(
            specs,
            self.register.partitions,
            holders=storm.aggregates,
            sources=storm.spouts,
            settings=self.settings,
        )
        return {component.name: component.tasks for component in table}

    @property
    def options(self) -> dict[str, Any]:
        return topology_options(self.settings, self.store_url, workers=self.settings.storm.workers)

    @contextmanager
    def nimbus(self) -> Iterator[Nimbus]:
        host, port = self.environment.nimbus
        with Nimbus(host, port) as nimbus:
            yield nimbus

    @cached_property
    def watch(self) -> Watch:
        return Watch(self.connection, self.settings, self.register)

    # --- up --------------------------------------------------------------------------------

    def check(self) -> None:
        """ClusterError, or what the store raises, for the first thing that stands in the way."""
        count = f"{self.register.count:,} meters in {self.register.partitions} partitions"
        self.say(f"register   {count}")
        lag = sum(self._waiting())
        self.say(f"store      {self.connection.address}, {lag:,} blocks waiting")
        self._check_alone()
        with self.nimbus() as nimbus:
            self._check_cluster(nimbus)

    def _check_alone(self) -> None:
        other = holder(self.watch.store.lease(self.topology))
        if other is not None:
            raise ClusterError(f"local engine {other} runs on this store", "stop it first")
        for beat in self._beats():
            if beat["alive"] and beat.get("storm"):
                raise ClusterError(
                    f"topology {beat['storm']} runs on this store",
                    "end it first: wattstorm undeploy --env …",
                )

    def _check_cluster(self, nimbus: Nimbus) -> None:
        summary = nimbus.summary()
        leaders = [n for n in summary.nimbuses if n.isLeader] or list(summary.nimbuses)
        version = leaders[0].version if leaders else "unknown"
        major = version.partition(".")[0]
        if not major.isdigit() or int(major) not in STORM_VERSIONS:
            raise ClusterError(
                f"Nimbus at {nimbus.address} is Storm {version}",
                f"wattstorm knows Storm {', '.join(map(str, STORM_VERSIONS))}.x",
            )
        free = sum(s.num_workers - s.num_used_workers for s in summary.supervisors)
        slots = f"{free} of {sum(s.num_workers for s in summary.supervisors)} slots free"
        self.say(
            f"cluster    Storm {version} at {nimbus.address}, "
            f"{len(summary.supervisors)} supervisors, {slots}"
        )
        if any(t.name == self.name for t in summary.topologies):
            raise ClusterError(
                f"a topology called {self.name} is there already",
                "end it first (wattstorm undeploy), or take another name: --name",
            )
        if free < self.settings.storm.workers:
            raise ClusterError(
                f"{self.settings.storm.workers} workers are wanted, {slots}",
                "ask for fewer (--workers), end another topology, or add supervisors",
            )
        self.say(f"python     {self.environment.python}")

    def start(self, timeout_s: float = START_S) -> str:
        """Submit, and wait until every task runs and the first batches are committed; its id."""
        self.watch.introduce()
        self.watch.store.clear_beats(self.topology)
        with self.nimbus() as nimbus:
            try:
                self.submit(self.tasks)
                return self._wait_started(nimbus, timeout_s)
            except BaseException:
                self._leave_nothing(nimbus)
                raise

    def submit(self, tasks: Mapping[str, int]) -> None:
        """Hand the topology to streamparse; `tasks`: component → how many."""
        submit(
            self.environment,
            self.options,
            name=self.name,
            tasks=tasks,
            topology=self.settings.engine.topology,
            say=self.say,
        )

    def _leave_nothing(self, nimbus: Nimbus) -> None:
        try:
            if nimbus.topology(self.name) is not None:
                self._end(nimbus)
        except ClusterError as error:
            self.say(f"warning: {self.name} may still be there: {error}")

    def _wait_started(self, nimbus: Nimbus, timeout_s: float) -> str:
        began = time.monotonic()
        found = nimbus.topology(self.name)
        if found is None:
            raise ClusterError(f"Nimbus took {self.name} and does not list it", "see Nimbus's log")
        wanted = {task_name(name, i) for name, count in self.tasks.items() for i in range(count)}
        fences, missing = self._fences(), wanted
        told = False
        while time.monotonic() - began < timeout_s:
            self._raise_reported(nimbus, found.id)
            missing = wanted - self._running(found.id)
            if not missing and not told:
                told = True
                self.say(f"started    {len(wanted)} tasks after {time.monotonic() - began:.0f} s")
            if not missing and (self._fences() != fences or not any(self._waiting())):
                return str(found.id)
            time.sleep(LOOK_S)
        if missing:
            raise ClusterError(
                f"after {timeout_s:.0f} s these tasks of {self.name} have not started: "
                f"{', '.join(sorted(missing))}",
                "see the workers' logs (wattstorm storm logs, or the log viewer of the cluster)",
            )
        raise ClusterError(
            f"after {timeout_s:.0f} s {self.name} has committed nothing of "
            f"{sum(self._waiting()):,} blocks that wait",
            "see wattstorm status --env and the workers' logs",
        )

    def _raise_reported(self, nimbus: Nimbus, identity: str) -> None:
        """ClusterError for what a task reported as wrong.

        The first reports may only say that a worker ends: a while is given to those that say why.
        """
        began = time.monotonic()
        while errors := nimbus.errors(identity):
            for component, error in errors:
                known = explained(error.error, self.environment)
                if known is not None:
                    raise ClusterError(f"{component} on {error.host}: {known[0]}", known[1])
            if time.monotonic() - began > UNEXPLAINED_S:
                component, error = errors[0]
                raise ClusterError(
                    f"{component} on {error.host}: {telling(error.error)}",
                    "see the workers' logs (wattstorm storm logs, or the log viewer)",
                )
            time.sleep(LOOK_S)

    def _running(self, identity: str) -> set[str]:
        beats = self._beats()
        return {str(b["worker"]) for b in beats if b["alive"] and b.get("storm") == identity}

    def _beats(self) -> list[dict[str, Any]]:
        return self.watch.store.beats(self.topology)

    def _fences(self) -> list[int]:
        return list(self.watch.store.fences(self.watch.partitions).values())

    def _waiting(self) -> list[int]:
        """Blocks of each partition that wait behind its fence."""
        watch = self.watch
        tails = watch.log.tails(watch.partitions)
        return [tail - fence for tail, fence in zip(tails, self._fences(), strict=True)]

    # --- down ------------------------------------------------------------------------------

    def stop(self, *, drain: bool = False, now: bool = False, timeout_s: float = 600.0) -> None:
        """End the topology; every way leaves the sums exact, and the next one goes on from them.

        drain: first wait until the log is empty. now: wait for nothing. Else what is under way
        is committed and published first.
        """
        with self.nimbus() as nimbus:
            if nimbus.topology(self.name) is None:
                raise ClusterError(
                    f"no topology called {self.name} is on {nimbus.address}",
                    "wattstorm status --env … shows what is; its name: --name",
                )
            if drain:
                self._wait(lambda: self.watch.drained(), timeout_s, "the log is empty")
            if not now:
                nimbus.deactivate(self.name)
                self._wait(self._quiet, QUIET_S, "what was under way is committed")
            self._end(nimbus)
        self.say(f"ended      {self.name}; {sum(self._waiting()):,} blocks wait for the next one")

    def _quiet(self) -> bool:
        """Whether the fences stand still and nothing waits to be published."""
        before = self._fences()
        time.sleep(1.0)
        watch = self.watch
        return before == self._fences() and not watch.results.dirty(watch.partitions)

    def _wait(self, done: Callable[[], bool], timeout_s: float, what: str) -> None:
        began = time.monotonic()
        while not done():
            if time.monotonic() - began > timeout_s:
                raise ClusterError(
                    f"waited {timeout_s:.0f} s until {what}",
                    f"{self.name} goes on, perhaps deactivated; end it with --now: what is "
                    "committed stays, the rest stays in the log",
                )
            time.sleep(LOOK_S)

    def _end(self, nimbus: Nimbus) -> None:
        nimbus.kill(self.name)

        def gone() -> bool:
            alive = any(beat["alive"] and beat.get("storm") for beat in self._beats())
            return nimbus.topology(self.name) is None and not alive

        self._wait(gone, QUIET_S, "the workers have ended")


def explained(error: str, environment: Environment) -> tuple[str, str] | None:
    """(what went wrong, what to do) out of the text of a Java stack trace, where that is known."""
    said = telling(error)
    if "wattstorm.errors." in said:
        return said.rpartition("wattstorm.errors.")[2], ""
    if "Cannot run program" in error or "Error when launching multilang" in error:
        return (
            f"Python does not start there: {said[:300]}",
            f"the workers start {environment.python}; install it on each node, or correct the "
            "environment (docs/operate.md)",
        )
    return None
