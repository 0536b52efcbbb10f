"""What a benchmark says when one of its parts delivers nothing, or fails."""

from __future__ import annotations

import contextlib
import json

import psutil
import pytest

from bench._beside import busy
from bench._report import as_json
from bench.storm import Findings, ratios
from wattstorm.processes import is_alive


def test_a_part_that_delivers_nothing_is_null_and_takes_no_other_figure_along(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Printed as nothing; no ratio to it; what was measured before is there."""
    found = Findings()
    found.figures |= {"storm_50k_mps": 8.0, "storm_5k_mps": 6.0, "local_50k_mps": 16.0}
    with found.part("inline_5k_mps"):
        found.add("inline_5k_mps", 3.0, "inside the tuples", "M readings/s")
    with found.part("single_mps"):
        found.add("single_mps", None, "one reading a tuple", "M readings/s")
    ratios(found)
    figures = json.loads(as_json(found.figures))
    assert figures["single_mps"] is figures["ratio_to_single"] is None
    assert (figures["ratio_to_inline_5k"], figures["ratio_to_local_50k"]) == (2.0, 0.5)
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["inside", "the", "tuples", "3.00", "M", "readings/s"]
    assert said[1].split() == ["one", "reading", "a", "tuple", "nothing", "was", "delivered"]
    assert not found.failed


def test_a_part_that_fails_says_why_and_the_next_one_begins(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An error, or the end that a part's own timeout asks for; each of its figures is null."""
    found = Findings()
    with found.part("storm_5k_mps"):
        raise SystemExit("not committed after 60 s: [3, 4]")
    with found.part("a", "b"):
        found.add("a", 1.5, "measured before it failed", "ms")
        raise RuntimeError("Nimbus is gone")
    assert found.failed
    assert found.figures == {"storm_5k_mps": None, "a": 1.5, "b": None}
    said = capsys.readouterr().err
    assert "storm_5k_mps: SystemExit: not committed after 60 s: [3, 4]" in said
    assert "a, b: RuntimeError: Nimbus is gone" in said


def test_the_busy_processes_beside_a_benchmark_end_with_it() -> None:
    """As many as asked for, each at work all the time; gone when an error ends the benchmark."""
    with contextlib.suppress(KeyboardInterrupt), busy(2) as pids:
        processes = [psutil.Process(pid) for pid in pids]
        for process in processes:
            while process.cpu_times().user < 0.2:
                assert is_alive(process.pid)
        raise KeyboardInterrupt
    assert len(pids) == 2
    assert not any(map(is_alive, pids))
