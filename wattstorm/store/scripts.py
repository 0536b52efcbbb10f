"""The scripts in `lua/`: each one atomic step of the store, called by its SHA-1.

A store that does not know a script (restarted, flushed, failed over) says
NOSCRIPT and has done nothing: the script is loaded and called again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

from redis.exceptions import NoScriptError

from wattstorm.store.connection import Connection

Argument = str | bytes | int


class Script:
    """One file of `lua/`, known by its name, below those whose functions it uses."""

    def __init__(self, name: str, *uses: str) -> None:
        self.name = name
        lua = resources.files("wattstorm.store") / "lua"
        self.text = b"".join((lua / f"{part}.lua").read_bytes() for part in (*uses, name))
        self.sha = hashlib.sha1(self.text, usedforsecurity=False).hexdigest()

    def load(self, connection: Connection) -> None:
        """Make it known; call it inside `Connection.run`."""
        connection.redis.script_load(self.text)

    def run(
        self,
        connection: Connection,
        action: str,
        keys: Sequence[str],
        arguments: Sequence[Argument],
    ) -> Any:
        """Its answer; `action` completes "cannot …"."""
        return self.run_many(connection, action, [(keys, arguments)])[0]

    def run_many(
        self,
        connection: Connection,
        action: str,
        calls: Sequence[tuple[Sequence[str], Sequence[Argument]]],
    ) -> list[Any]:
        """The answers to several calls in one round trip; each call is atomic, not the whole."""
        commands = [("EVALSHA", self.sha, len(keys), *keys, *rest) for keys, rest in calls]

        def send(todo: Sequence[tuple[Any, ...]]) -> list[Any]:
            if len(todo) == 1:
                try:
                    return [connection.redis.execute_command(*todo[0])]
                except NoScriptError as error:
                    return [error]
            pipeline = connection.redis.pipeline(transaction=False)
            for command in todo:
                pipeline.execute_command(*command)
            return list(pipeline.execute(raise_on_error=False))

        def call() -> list[Any]:
            answers = send(commands)
            # A FLUSH may come at any time; three in a row are no accident.
            for _ in range(3):
                missed = [i for i, a in enumerate(answers) if isinstance(a, NoScriptError)]
                if not missed:
                    break
                self.load(connection)
                for i, answer in zip(missed, send([commands[i] for i in missed]), strict=True):
                    answers[i] = answer
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers

        return connection.run(action, call) if commands else []
