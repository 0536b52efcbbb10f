"""One schedule, run: who is on the stage, and what each step of the plan lets them do."""

from __future__ import annotations

import contextlib
import functools
import random
import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.simulation import cast, second, steps
from tests.simulation.actors import Actor, Hub, Incident
from tests.simulation.disk import Disk
from tests.simulation.history import History
from tests.simulation.link import Link
from tests.simulation.misfortune import Misfortune
from tests.simulation.plan import Rules, Step
from tests.simulation.registers import MOST_PARTITIONS, PARTITIONS, Grown, chain
from tests.simulation.sender import Sender
from tests.simulation.stage import Stage
from tests.simulation.store import Store
from tests.simulation.town import Town
from wattstorm.settings import Settings
from wattstorm.store.connection import Connection
from wattstorm.store.keys import partition_keys

PREFIX = "sim"
SOCKET = "/simulated/store"


def shm() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


@functools.cache
def settings_of(options: tuple[tuple[str, Any], ...], minutes: int, zone: str) -> Settings:
    given = {
        "stream.slot_minutes": minutes,
        "stream.time_zone": zone,
        "store.prefix": PREFIX,
        "data.directory": "/simulated",
        "store.url": f"unix://{SOCKET}",
    }
    return Settings.load(environ={}, options=given | dict(options))


class World(Misfortune):
    """`trace`: what happened, a line a step."""

    def __init__(self, rules: Rules, directory: Path, *, tracing: bool = False) -> None:
        self.rules, self.tracing, self.trace = rules, tracing, []
        Stage.now = 100.0
        Stage.chance = random.Random(rules.town)
        self.hub = Stage.hub = Hub(self.strike)
        (directory / "state").mkdir()
        self.disk = Stage.disk = Disk(directory / "state")
        self.chain = chain(rules.chain)
        self.partitions = MOST_PARTITIONS if rules.chain else PARTITIONS
        self.built = 0
        self.build(1)
        self.copy_versions()
        super().__init__(Store(lambda: Stage.now, rules.product))
        Link.lines[SOCKET] = self
        settings = settings_of(rules.options, rules.minutes, rules.zone)
        self.settings = replace(
            settings,
            data=replace(settings.data, directory=directory),
            log=replace(settings.log, backlog_mb=rules.backlog * self.partitions / 1e6),
        )
        self.town = Town(rules.town, rules.minutes, rules.zone, rules.blocks, self.partitions)
        self._last = self.town.last_words()
        self._dirty = [partition_keys(PREFIX, p).dirty.encode() for p in range(self.partitions)]
        self.history = self.history_of(self.store)
        self.backups: list[Any] = []
        self.lost_state = False
        """Whether all snapshots were lost, or made useless by a backup older than them."""
        self.upsets = 0
        """How often a task was stopped in the midst of a block, for whatever reason."""
        self.processes = 0
        self.queue: deque[tuple[Any, tuple[Any, ...], str]] = deque()
        self.unheard: list[tuple[Any, str, str]] = []
        self.told: deque[int] = deque()
        self.follow_the_clock()
        self.senders = {who: [Sender(self, who)] for who in "ab"}
        self.tasks: list[tuple[Actor, Any]] = []
        self.publishers: list[tuple[Actor, Any]] = []
        self.seconds: list[second.Second] = []
        self.keepers: list[Actor] = []
        self.new_spout()
        self.new_task()
        self.new_publisher()

    # --- the register

    @property
    def newest(self) -> Grown:
        """The version that was built last."""
        return self.chain[self.built - 1]

    def build(self, version: int) -> None:
        self.built = min(version, len(self.chain))

    def copy_versions(self) -> None:
        """Bring all that were built to the machines of the stream."""
        Stage.versions = [grown.register for grown in self.chain[: self.built]]

    # --- who acts

    def history_of(self, store: Store) -> History:
        return History(store, [partition_keys(PREFIX, p) for p in range(self.partitions)])

    def actor(self, name: str) -> Actor:
        self.processes += 1
        return Actor(f"{name} {self.processes}", self.hub, self.processes)

    def connection(self) -> Connection:
        return Connection(f"unix://{SOCKET}", prefix=PREFIX)

    def new_spout(self) -> None:
        actor = self.actor("spout")
        spout: Any = None

        def say(message: Any) -> None:
            if message["command"] == "emit":
                self.queue.append((spout, tuple(message["tuple"]), message["id"]))

        spout = cast.started(cast.Spout, self.settings, f"unix://{SOCKET}", say)
        self.spout = actor, spout

    def new_task(self) -> None:
        self.upsets += 1
        actor = self.actor("task")
        answers: list[str] = []

        def say(message: Any) -> None:
            if message["command"] == "emit":
                self.told.append(message["tuple"][0])
            elif message["command"] in ("ack", "fail"):
                answers.append(message["command"])

        task = actor_started(actor, cast.Task, self.settings, say)
        task.consumer.applies = lambda own: self.history.applies(own)  # of the store of that time
        task.answers = answers
        self.tasks.append((actor, task))

    def new_publisher(self) -> None:
        actor = self.actor("publisher")
        publisher = actor_started(actor, cast.Publisher, self.settings, lambda _: None)
        self.publishers.append((actor, publisher))

    def everyone(self) -> list[Actor]:
        mains = [a for a, _ in (*self.tasks, *self.publishers, *self.seconds, self.spout)]
        mains += self.keepers
        mains += [s.actor for senders in self.senders.values() for s in senders]
        return [a for main in mains for a in (main, *main.writers)]

    def free(self, among: list[tuple[Actor, Any]], step: Step) -> tuple[Actor, Any] | None:
        """The newest one mostly, else any that stands idle."""
        idle = [one for one in among if not one[0].busy and not one[0].dead]
        if not idle:
            return None
        return idle[-1] if step.size < 0.8 else idle[step.which % len(idle)]

    # --- steps

    def step(self, step: Step) -> None:
        Stage.now += step.dt
        self.say(str(step))
        steps.DO[step.name](self, step)
        if self.tracing:
            self.say(f"        {self.history.where()}")

    def answer(self, spout: Any, number: str, said: str) -> None:
        """A spout hears one message at a time: while it is in the midst of one, answers wait."""
        self.unheard.append((spout, said, number))
        if not self.spout[0].busy:
            self._hear()

    def poll(self, incident: Incident | None = None) -> None:
        self._hear()
        self.spout[0].run(self.spout[1].next_tuple, incident)

    def _hear(self) -> None:
        unheard, self.unheard = self.unheard, []
        for spout, said, number in unheard:
            if spout is self.spout[1] and not self.spout[0].dead:
                getattr(spout, said)(number)

    def task_for(self, step: Step) -> tuple[Actor, Any] | None:
        if chosen := self.free(self.tasks, step):
            return chosen
        self.new_task()
        return self.tasks[-1]

    def give(
        self,
        chosen: tuple[Actor, Any],
        values: tuple[Any, ...],
        incident: Incident | None,
        answer: Callable[[str], None] = lambda _: None,
    ) -> None:
        actor, task = chosen

        def work() -> None:
            task.answers.clear()
            cast.give(task, *values)
            for said in task.answers:
                self.say(f"    {actor.name}: {values} {said}")
                answer(said)

        actor.run(work, incident)

    def sleepers(self) -> list[Actor]:
        return [
            a
            for a in self.everyone()
            if a.busy and not a.dead and (a.asleep_until is None or a.asleep_until <= Stage.now)
        ]

    # --- the end

    def idle_task(self) -> Any:
        idle = [one for one in self.tasks if not one[0].busy and not one[0].dead]
        return idle[-1] if idle else None

    def last_words(self, who: str) -> list[Any]:
        return [letter for letter in self._last if letter.producer == who]

    def at_rest(self) -> bool:
        """Everything is sent, summed and published."""
        partitions = range(self.partitions)
        return (
            all(senders[-1].done for senders in self.senders.values())
            and all(self.history.fence(p) == self.history.tail(p) for p in partitions)
            and not second.waits(self)
            and not any(self.store.data.keys.get(key) for key in self._dirty)
        )

    def what_waits(self) -> str:
        said = [self.history.where()]
        for senders in self.senders.values():
            s = senders[-1]
            pending = s.producer.lanes.pending if s.producer else "-"
            said.append(f"producer {s.name}: {s.at} of {len(s.letters)}, {pending} pending")
        dirty = {k.decode(): len(self.store.data.keys.get(k) or ()) for k in self._dirty}
        return "; ".join([*said, f"dirty {dirty}"])

    @property
    def attempts(self) -> int:
        return self.settings.batch.attempts

    # --- odds and ends

    def follow_the_clock(self) -> None:
        """The store's clock shows the town's time; in history, that of some days later."""
        if not self.rules.live:
            slot = self.town.end + 2 * self.town.per_day
            aim = slot * self.rules.minutes * 60_000_000
        else:
            slots = (
                [s.newest for senders in self.senders.values() for s in senders]
                if hasattr(self, "senders")
                else [self.town.letters[0].newest]
            )
            aim = (max(slots) + 1) * self.rules.minutes * 60_000_000
        if self.store.now_us() < aim:
            self.store.offset_us += aim - self.store.now_us()

    def say(self, line: str) -> None:
        if self.tracing:
            self.trace.append(line)

    def close(self) -> None:
        """Unwind what still sleeps; nothing of it touches anything any more."""
        self.hub.over = True
        for actor in [*self.everyone(), *self.hub.graves]:
            actor.unwind()
        del Link.lines[SOCKET]
        self._let_go()

    def _let_go(self) -> None:
        """Cut the rings in which all of it holds itself: what is free at once need not be looked
        for, which would take a tenth of the time."""
        parts: list[Any] = [part for _, part in (*self.tasks, *self.publishers, self.spout)]
        parts += [part.consumer for _, part in self.tasks]
        parts += [second for _, second in self.seconds]
        parts += [sender for senders in self.senders.values() for sender in senders]
        for part in (*parts, *self.everyone(), *self.hub.graves, self.hub, self.store, self):
            part.__dict__.clear()


def actor_started(actor: Actor, cls: type[Any], settings: Settings, say: Any) -> Any:
    """Initialized in its own process, whose number goes into what it writes."""
    made: list[Any] = []
    actor.run(lambda: made.append(cast.started(cls, settings, f"unix://{SOCKET}", say)))
    return made[0]


@contextlib.contextmanager
def directory() -> Any:
    with tempfile.TemporaryDirectory(prefix="wattstorm-sim-", dir=shm()) as name:
        yield Path(name)
