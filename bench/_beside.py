"""Busy processes beside a benchmark, as another user of the machine would run them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

BUSY = """
import os, signal
from wattstorm.processes import end_with_parent
end_with_parent(signal.SIGKILL)
if os.getppid() == {parent}:
    while True:
        pass
"""


@contextmanager
def busy(count: int) -> Iterator[list[int]]:
    """`count` processes that each want a whole core until the end; their ids.

    Each in a session of its own: Linux shares the time out between sessions first, and the
    load of a neighbour is not the benchmark's own.
    """
    command = [sys.executable, "-c", BUSY.format(parent=os.getpid())]
    processes = [subprocess.Popen(command, start_new_session=True) for _ in range(count)]
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
