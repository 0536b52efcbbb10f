"""Who acts: each does one thing at a time, may be stopped at any point of it, and wake up later.

An actor's work runs in a greenlet. At each point (before and after every command to the store,
every step of the contract, every step of a file's way to disk) the incident that the plan has
for this work may strike: pause, death, or something that befalls the store or the machine.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from greenlet import getcurrent, greenlet


class Incident(NamedTuple):
    """What happens during one piece of work, and where.

    at: a point's name, "before commit", or "#7": the seventh point, whatever it is.
    what: "pause", "die"; of the store: "crash", "blackout" (with the machine); of the one
    command: "lost", "done", "late", "reset", or a refusal's code. size: 0 to 1, how much.
    """

    at: str
    what: str
    size: float = 0.5

    def __str__(self) -> str:
        size = f" {self.size:.2f}" if self.what in ("crash", "blackout") else ""
        return f"{self.what}{size} {self.at}"


OF_A_COMMAND = ("lost", "done", "late", "reset", "OOM", "READONLY", "MISCONF", "NOREPLICAS")


class Ended(BaseException):
    """The schedule is over: what still sleeps is unwound, and must do nothing more."""


@dataclass
class Actor:
    """`name`: for people; `process`: actors of one number die together."""

    name: str
    hub: Hub
    process: int = 0
    incident: Incident | None = None
    points: int = 0
    where: str = ""
    asleep_until: float | None = None
    dead: bool = False
    writers: list[Actor] = field(default_factory=list)
    """Threads of the same process, which write its snapshots."""
    _work: greenlet | None = None

    @property
    def busy(self) -> bool:
        return self._work is not None

    def run(self, work: Callable[[], Any], incident: Incident | None = None) -> None:
        """Begin; it has ended when this returns, or stands at a point."""
        assert self._work is None
        assert not self.dead
        self._work = greenlet(self._guarded(work))
        self.points = 0
        self.go_on(incident)

    def go_on(self, incident: Incident | None = None) -> None:
        assert self._work is not None
        assert not self.dead
        self.incident, self.where, self.asleep_until = incident, "", None
        # Whoever waits for this work (a task for its snapshot's writer) is gone on with after it.
        self._work.parent = getcurrent()
        self.hub.enter(self)
        try:
            self._work.switch()
        finally:
            self.hub.leave()
        if self._work is not None and self._work.dead:
            self._work = None

    def stop_here(self, where: str) -> None:
        """Called inside the work: back to who runs it."""
        self.where = where
        work = self._work
        assert work is not None
        assert work.parent is not None
        work.parent.switch()
        if self.hub.over:
            raise Ended

    def die(self) -> None:
        """Inside the work or outside: nothing of it is ever run again, no `finally` either."""
        self.dead = True
        self.hub.graves.append(self)
        for writer in self.writers:
            if not writer.dead:
                writer.die()

    def unwind(self) -> None:
        if self._work is not None and not self._work.dead:
            self._work.parent = getcurrent()
            self.hub.enter(self)
            self._work.switch()
            self.hub.leave()

    def _guarded(self, work: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except Ended:
                pass
            except Exception:
                if not self.hub.over:
                    self.hub.crashes.append(f"{self.name} crashed:\n{traceback.format_exc()}")

        return run


class Hub:
    """Knows who acts at the moment; `strike` carries out what an incident does to others."""

    def __init__(self, strike: Callable[[Actor, Incident], None]) -> None:
        self.strike = strike
        self.over = False
        self.crashes: list[str] = []
        self.graves: list[Actor] = []
        self._acting: list[Actor] = []

    @property
    def actor(self) -> Actor | None:
        return self._acting[-1] if self._acting else None

    def enter(self, actor: Actor) -> None:
        self._acting.append(actor)

    def leave(self) -> None:
        self._acting.pop()

    def point(self, name: str) -> str:
        """A point was reached; what is to become of the command that stands there, or ''."""
        actor = self.actor
        if actor is None:
            return ""
        if self.over:
            raise Ended
        actor.points += 1
        incident = actor.incident
        if incident is None or incident.at not in (name, f"#{actor.points}"):
            return ""
        if incident.what in OF_A_COMMAND:
            # It waits for the next command if this is no place for it.
            if not name.startswith("before "):
                return ""
            actor.incident = None
            return incident.what
        actor.incident = None
        self.strike(actor, incident)
        return ""

    def sleep(self, until: float) -> bool:
        """The actor sleeps; False if nobody acts."""
        actor = self.actor
        if actor is None:
            return False
        if self.over:
            raise Ended
        actor.asleep_until = until
        actor.stop_here("asleep")
        return True
