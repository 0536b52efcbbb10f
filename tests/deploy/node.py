"""A Storm node without Storm: the shell of one task, spoken to as Storm's worker does."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.servers import TestServer
from tests.stream.town import Town, a_stream, a_town, audit, in_blocks
from wattstorm.cluster.package import write_jar
from wattstorm.metering.block import encode
from wattstorm.shipped import code_digest

PATH = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
"""All that a task inherits here: nothing that leads to this test's own environment."""


class Shell:
    """A task's process and its two pipes."""

    def __init__(
        self, command: Sequence[str | Path], directory: Path, environ: Mapping[str, str] = PATH
    ) -> None:
        self.process = subprocess.Popen(
            [*map(str, command)],
            cwd=directory,
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def say(self, message: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\nend\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        """The next message; what the process complains of, if it ends instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        assert self.process.stdout.readline() == "end\n"
        return json.loads(line)

    def until(self, command: str) -> dict[str, Any]:
        """The next message with that command; logs and others before it are passed over."""
        while True:
            heard = self.hear()
            if heard.get("command") == command:
                return dict(heard)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Node:
    """The unpacked topology on a node, and a town whose first batch waits in a store."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "node"
        self.directory.mkdir()
        write_jar(directory / "topology.jar")
        with zipfile.ZipFile(directory / "topology.jar") as jar:
            jar.extractall(self.directory)
        self.server = TestServer(directory / "redis")
        self.town: Town = a_town(directory, self.server.url, 300, 300)
        self.blocks = list(in_blocks(a_stream(7, 300, 20), 300, 1_000))
        self.last = 0

    def task(self, command: Sequence[str | Path], environ: Mapping[str, str] = PATH) -> Shell:
        """Start the task that sums, as Storm does, and shake hands with it."""
        shell = Shell(
            [*command, "bolts.aggregate.AggregateBolt"], self.directory / "resources", environ
        )
        conf = {
            "wattstorm": self.town.settings.to_conf(),
            "wattstorm.store_url": self.server.url,
            "wattstorm.code": code_digest(),
            "topology.name": "load_curves",
        }
        context = {"taskid": 3, "componentid": "aggregate", "task->component": {"3": "aggregate"}}
        shell.say({"conf": conf, "pidDir": str(self.directory), "context": context})
        assert shell.hear() == {"pid": shell.process.pid}
        assert (self.directory / str(shell.process.pid)).exists()
        return shell

    def sums_a_batch(self, shell: Shell) -> None:
        """One tuple in: readings committed, the change announced, the tuple acked.

        The second time they are doubles.
        """
        first = self.last + 1
        with self.town.connect() as connection:
            log = self.town.log(connection)
            for number, block in enumerate(self.blocks, first):
                data = encode(replace(block, number=number))
                log.append(0, "town", number, data, int(block.wh.size))
            self.last = log.tails([0])[0]
        batch = [0, first, self.last, 1]
        shell.say({"id": "7", "comp": "readings", "stream": "default", "task": 2, "tuple": batch})
        assert shell.until("emit")["tuple"] == [0, self.last]
        shell.say([9])
        assert shell.until("ack")["id"] == "7"
        with self.town.connect() as connection:
            received = audit(self.town, connection)["received"]
        once = sum(block.wh.size for block in self.blocks)
        assert received == once * self.last // len(self.blocks)
