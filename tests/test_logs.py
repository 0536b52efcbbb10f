"""Log lines for programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

SAYS = """
import logging
from wattstorm.cli.common import log_to_stderr
log_to_stderr(True)
log = logging.getLogger("wattstorm.stream")
log.info("committed in %d ms [batch 3:17:32]", 5)
try:
    1 / 0
except ZeroDivisionError:
    log.exception("it fails")
"""


def lines(**environ: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SAYS],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.splitlines()


def test_each_line_is_an_object_with_the_batch_that_it_is_about() -> None:
    first, second = map(json.loads, lines(WATTSTORM_LOG="json"))
    assert first.pop("at").endswith("+00:00")
    assert first == {
        "level": "INFO",
        "logger": "wattstorm.stream",
        "batch": "3:17:32",
        "message": "committed in 5 ms",
    }
    assert second["message"] == "it fails"
    assert second["error"].endswith("ZeroDivisionError: division by zero")


def test_people_read_text_as_before() -> None:
    assert lines(WATTSTORM_LOG="")[0] == (
        "INFO wattstorm.stream: committed in 5 ms [batch 3:17:32]"
    )
