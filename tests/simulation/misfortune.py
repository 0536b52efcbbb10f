"""What befalls: commands on their way, the store, the machine, and where the address leads."""

from __future__ import annotations

import functools
import sys
from collections import deque
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.simulation.actors import Actor, Hub, Incident
from tests.simulation.disk import Disk
from tests.simulation.history import History
from tests.simulation.link import Line, Link
from tests.simulation.stage import Stage
from tests.simulation.store import REFUSALS, Store
from wattstorm.store.scripts import Script
from wattstorm.store.snapshots import FOREIGN_KEPT

_OTHERS = {
    "XRANGE": "fetch",
    "HMGET": "ask",
    "HGET": "said",
    "XREVRANGE": "letters",
    "ZRANGE": "dirty",
    "TIME": "time",
    "ZRANGEBYSCORE": "provisional",
    "GET": "last_numbers",
}
_APPENDING = ("append", "append_control", "replay_letter")


class Misfortune(Line):
    """The part of a world that things happen to. history: what the log took; away: the store
    and history that are home, while the address leads to others."""

    hub: Hub
    disk: Disk
    history: History
    queue: deque[Any]
    told: deque[int]
    upsets: int
    lost_state: bool
    away: tuple[Store, History] | None = None
    visits = 0

    def everyone(self) -> list[Actor]:
        raise NotImplementedError

    def history_of(self, store: Store) -> History:
        raise NotImplementedError

    def say(self, line: str) -> None:
        raise NotImplementedError

    # --- commands on their way

    def send(self, link: Link, command: tuple[bytes, ...]) -> Any:
        before, after = _points(step_name(command))
        fate = self.hub.point(before)
        if fate:
            return self._befall(fate, command)
        if not link._alive():
            raise RedisConnectionError("Connection closed by server.")
        answer = self.carry_out(command)
        self.hub.point(after)
        return answer

    def carry_out(self, command: tuple[bytes, ...]) -> Any:
        answer = self.store.execute(command)
        if command[0] != b"EVALSHA":
            return answer
        script = script_names()[command[1]]
        if script in _APPENDING and _appended(answer):
            self.history.appended(command, script)
        elif answer == [b"ok"] and script == "commit":
            self.history.committed(command)
        return answer

    def _befall(self, fate: str, command: tuple[bytes, ...]) -> Any:
        if fate in REFUSALS:
            before, self.store.refuses = self.store.refuses, fate
            try:
                return self.carry_out(command)
            finally:
                self.store.refuses = before
        if fate == "reset":
            raise RedisConnectionError("Error while reading: Connection reset by peer")
        if fate == "done":
            self.carry_out(command)
        elif fate == "late":
            self.store.late.append(lambda: self.carry_out(command))
        Stage.now += 0.2
        raise RedisTimeoutError("Timeout reading from socket")

    def strike(self, actor: Actor, incident: Incident) -> None:
        """An incident that is more than a command's."""
        self.say(f"    {actor.name}: {incident}")
        self.upsets += 1
        if incident.what == "crash":
            self.crash(incident.size)
        elif incident.what == "blackout":
            self.blackout(incident.size)
            actor.stop_here("dead")
        elif incident.what == "die":
            actor.die()
            actor.stop_here("dead")
        else:
            actor.stop_here(incident.at)

    def crash(self, share: float) -> None:
        lost = self.store.crash(share)
        self.history.went_back()
        self.say(f"    the store lost {lost} writes; {self.history.where()}")

    def blackout(self, share: float) -> None:
        """The power of all is cut: the store's, and the tasks' with their disk."""
        self.upsets += 1
        self.disk.cut(names_too=share < 0.5)
        for actor in self.everyone():
            if not actor.dead:
                actor.die()
        self.crash(share)
        self.queue.clear()
        self.told.clear()

    # --- elsewhere

    def go_elsewhere(self) -> None:
        """From now on the address leads to an empty store, with the same state directory."""
        self.visits += 1
        home = self.store
        self.away = home, self.history
        self.store = Store(home.now, home.product)
        self.store.run_number, self.store.offset_us = home.run_number + 1, home.offset_us
        self.history = self.history_of(self.store)
        if self.visits > FOREIGN_KEPT:
            self.lost_state = True  # its snapshots may be swept as those of an old store

    def come_home(self) -> None:
        """Back to the store of before, as it was left."""
        if self.away is None:
            return
        elsewhere, (self.store, self.history) = self.store, self.away
        self.away = None
        self.store.run_number, self.store.offset_us = elsewhere.run_number, elsewhere.offset_us
        self.store.restart()


def _appended(answer: Any) -> bool:
    """{'new', position, …}, or the position alone."""
    return answer[0] == b"new" if isinstance(answer, list) else type(answer) is int and answer > 0


@functools.cache
def _points(step: str) -> tuple[str, str]:
    return f"before {step}", f"after {step}"


@functools.cache
def script_names() -> dict[bytes, str]:
    """SHA-1 → name, of every script that wattstorm has."""
    modules = [m for name, m in list(sys.modules.items()) if name.startswith("wattstorm.")]
    found = [x for m in modules for x in vars(m).values() if isinstance(x, Script)]
    return {script.sha.encode(): script.name for script in found}


def step_name(command: tuple[bytes, ...]) -> str:
    """What a command is for: a script's name, or a step of the contract."""
    return script_names()[command[1]] if command[0] == b"EVALSHA" else _name_of(command[0])


@functools.cache
def _name_of(command: bytes) -> str:
    name = command.upper().decode().split()[0]
    return _OTHERS.get(name, name.lower())
