"""Log lines on stderr: for people, or with WATTSTORM_LOG=json an object a line for programs.

An object has `at` (UTC), `level`, `logger`, `message`; `task` in a worker; `batch`
("partition:first:last") where the line is about one; `error` with the traceback.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime
from typing import Final

VARIABLE: Final = "WATTSTORM_LOG"
_BATCH: Final = re.compile(r" ?\[batch (\d+:\d+:\d+)\]")


class JsonLines(logging.Formatter):
    def __init__(self, task: str = "") -> None:
        super().__init__()
        self.task = task

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told = {"at": at, "level": record.levelname, "logger": record.name}
        if self.task:
            told["task"] = self.task
        if found := _BATCH.search(text):
            told["batch"], text = found[1], _BATCH.sub("", text)
        told["message"] = text
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return json.dumps(told)


def to_stderr(level: int, plain: str, task: str = "") -> None:
    """plain: the format of lines for people."""
    handler = logging.StreamHandler(sys.stderr)
    as_json = os.environ.get(VARIABLE, "").lower() == "json"
    handler.setFormatter(JsonLines(task) if as_json else logging.Formatter(plain))
    logging.basicConfig(level=level, handlers=[handler])
