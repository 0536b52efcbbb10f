"""The real `wattstorm` command in a process of its own, on a private data directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wattstorm.sample import READINGS, REGISTER, TIME_ZONE

_MAIN = "from wattstorm.cli.main import main; main()"


@dataclass
class Wattstorm:
    """Runs commands on one data directory; nothing of the developer's settings reaches them."""

    directory: Path
    environ: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        """The command, ended; its exit code must be `code`."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: object) -> Any:
        return json.loads(self(*arguments, "--json").stdout)

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment(),
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, *arguments: object) -> list[str]:
        data = ["--data", str(self.directory / "data")]
        return [sys.executable, "-c", _MAIN, *data, *map(str, arguments)]

    def environment(self) -> dict[str, str]:
        mine = {k: v for k, v in os.environ.items() if not k.startswith(("WATTSTORM_", "REDIS_"))}
        root = str(Path(__file__).resolve().parents[2])
        zone = {"WATTSTORM_STREAM_TIME_ZONE": TIME_ZONE, "PYTHONPATH": root}
        return {**mine, **zone, **self.environ}


def with_sample(directory: Path) -> Wattstorm:
    """The sample ingested, run to the end and published."""
    wattstorm = Wattstorm(directory)
    wattstorm("register", "build", REGISTER)
    wattstorm("ingest", READINGS)
    wattstorm("run", "--drain", "--workers", 1)
    return wattstorm
