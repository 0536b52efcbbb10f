"""One worker process as the supervisor holds it: started, listened to, replaced."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from wattstorm.store.workers import RESTARTS

BACKOFF_S = (0.1, 5.0)
"""First and longest pause before a dead worker is started again."""
STEADY_S = 1.0
"""A worker that ran this long begins anew with the first pause."""
START_S = 180.0
"""How long a worker may take until its first heartbeat: imports, compilation, register."""
_log = logging.getLogger("wattstorm.engine")


class WorkerProcess:
    """The process called `job["process"]`, if there is one now, and what it last said."""

    def __init__(self, job: dict[str, Any], environ: dict[str, str]) -> None:
        self.name, self._job, self._environ = str(job["process"]), job, environ
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = self.early_deaths = 0
        self.error = ""
        self.beat: dict[str, Any] = {}
        self.ready = False
        self.start_at = 0.0
        self._pause = BACKOFF_S[0]
        self._pipe = -1
        self._partial = b""
        self._heard_at = self._ready_at = 0.0

    def start(self) -> None:
        self.starts += 1
        self.ready, self.beat, self._partial = False, {}, b""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self._pipe = reading
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "wattstorm.engine.worker"],
                stdin=subprocess.PIPE,
                stdout=2,  # what a component prints is a message
                env=self._environ,
                pass_fds=(writing,),
                process_group=0,  # a Ctrl-C is the supervisor's to answer
            )
        finally:
            os.close(writing)
        self._heard_at = time.monotonic()
        conf = {**self._job["conf"], RESTARTS: self.starts - 1}
        self._say(json.dumps({**self._job, "conf": conf, "beat": writing}).encode())

    def listen(self) -> None:
        """Take in what it said since the last time."""
        if self._pipe < 0:
            return
        with suppress(BlockingIOError):
            while data := os.read(self._pipe, 65_536):
                *lines, self._partial = (self._partial + data).split(b"\n")
                for line in lines:
                    self._hear(json.loads(line))

    def _hear(self, said: dict[str, Any]) -> None:
        self._heard_at = time.monotonic()
        if "error" in said:
            self.error = said["error"]
            return
        if not self.ready:
            self.ready, self._ready_at, self.early_deaths = True, self._heard_at, 0
        self.beat = said

    def ended(self) -> bool:
        """Whether the process is gone; if so, when it is due to start again is settled."""
        if self.process is None or self.process.poll() is None:
            return False
        self.listen()
        code = self.process.returncode
        now = time.monotonic()
        if self.ready and now - self._ready_at >= STEADY_S:
            self._pause = BACKOFF_S[0]
        if not self.ready:
            self.early_deaths += 1
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        _log.warning("%s ended (%s), starts again in %.1f s", self.name, how, self._pause)
        self.start_at = now + self._pause
        self._pause = min(2 * self._pause, BACKOFF_S[1])
        self._close()
        return True

    def silent_s(self) -> float:
        """Seconds since it was last heard, beyond what a start may take."""
        allowed = 0.0 if self.ready else START_S
        return time.monotonic() - self._heard_at - allowed if self.process else 0.0

    def ask_to_stop(self) -> None:
        if self.process is not None:
            self._say(b"stop")

    def kill(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()

    def wait(self, deadline: float) -> bool:
        """Whether it ended before `deadline` (monotonic), else it is killed."""
        if self.process is None:
            return True
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
            return True
        except subprocess.TimeoutExpired:
            self.kill()
            self.process.wait()
            return False
        finally:
            self._close()

    def _say(self, line: bytes) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it is dead already: `ended` will see
            self.process.stdin.write(line + b"\n")
            self.process.stdin.flush()

    def _close(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()
        self.process, self.ready = None, False
        os.close(self._pipe)
        self._pipe = -1
