"""The same day again with other values, and what `ingest` says before it sends anything."""

from __future__ import annotations

from tests.cli.commands import Wattstorm
from tests.cli.test_ingest import KNOWN, OTHER, a_csv, ready

__all__ = ["ready"]


def published(ready: Wattstorm) -> list[int]:
    rows = ready.json("results", "national", "--date", "2013-06-01")["rows"]
    return [row["wh"] for row in rows if row["readings"]]


def test_a_day_sent_again_merges_by_the_larger_and_says_so_or_replaces(ready: Wattstorm) -> None:
    """Conflicts are told apart from doubles; --replace and --version N make the later one count."""
    first, later = "2013-06-01T00:00+10:00", "2013-06-01T00:30+10:00"
    ready("ingest", a_csv(ready, f"{KNOWN},{first},0.500", f"{KNOWN},{later},0.200"))
    again = a_csv(ready, f"{KNOWN},{first},0.300", f"{KNOWN},{later},0.400")
    ready("ingest", again)
    ready("run", "--drain", "--workers", 1)
    assert published(ready) == [500, 400]
    status = ready.json("status", "--seconds", 0)
    assert status["conservation_line"].startswith(
        "received 4 = accepted 3 (1 conflicts) + rejected 0 + doubles 1 (1 conflicts)"
    )
    assert status["conservation"]["conflicts"] == 2
    ready("ingest", again, "--replace")
    ready("ingest", a_csv(ready, f"{KNOWN},{first},0.250"), "--replace")
    lower = a_csv(ready, f"{KNOWN},{later},0.100,1", header="meter,time,kwh,version")
    ready("ingest", lower)
    ready("run", "--drain", "--workers", 1)
    assert published(ready) == [250, 400]
    assert "give one of them" in ready("ingest", again, "--replace", "--version", 3, code=2).stderr


def test_a_dry_run_says_what_would_happen_and_sends_nothing(ready: Wattstorm) -> None:
    """Columns, unit, interval, span; unknown meters; energies that do not go with the power."""
    lines = [
        f"{meter};2013-06-01 {i // 2:02}:{i % 2 * 30:02};{i},5"
        for i in range(1, 40)
        for meter in (KNOWN, OTHER, 77)
    ]
    file = a_csv(ready, *lines, header="PRM;time;value")
    asked = ("ingest", "--dry-run", file, "--energy-column", "value", "--unit", "Wh", "--round")
    done = ready(*asked, "--time-zone", "Australia/Sydney", code=4)
    assert "meter = PRM, time = time, energy = value in Wh; 117 rows, every 30 min" in done.stderr
    assert "2013-06-01 00:30+10:00 to 2013-06-01 19:30+10:00" in done.stderr
    assert "rows        117: 78 would be taken, 39 refused" in done.stdout
    assert "unknown_meter 39" in done.stdout
    assert "2 known, 1 not in the register (77, …)" in done.stdout
    assert "nothing was sent" in done.stderr
    high = a_csv(ready, *(line.replace(",5", "000") for line in lines), header="PRM;time;kwh")
    said = ready("ingest", "--dry-run", high, "--time-zone", "Australia/Sydney", code=4).stderr
    assert "78 readings are above contracted power: is the unit right" in said
    assert ready.json("status", "--seconds", 0)["conservation"]["received"] == 0


def test_a_dry_run_knows_which_days_are_closed(ready: Wattstorm) -> None:
    ready("ingest", a_csv(ready, f"{KNOWN},2013-06-10T00:00Z,0.5"))
    ready("run", "--drain", "--workers", 1)
    old = a_csv(ready, f"{KNOWN},2013-06-01T00:00Z,0.5")
    done = ready("ingest", "--dry-run", old, code=4)
    assert "too_old 1" in done.stdout
    assert "all in one command" in done.stderr
    assert ready("stores").stdout.splitlines()[1:] == ["wattstorm"]
    assert "would go" in ready("reset", code=2).stderr
    ready("reset", "--yes")
    assert "too_old" not in ready("ingest", "--dry-run", old).stdout
