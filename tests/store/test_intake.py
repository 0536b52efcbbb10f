"""Rows that ingest refused: counted all, kept within a bound, in number and in bytes."""

from __future__ import annotations

from wattstorm.store.connection import Connection
from wattstorm.store.intake import ROW_BYTES, Intake, RefusedRow


def refuse(intake: Intake, first: int, count: int, raw: str = "x") -> None:
    rows = [RefusedRow("unreadable", f"june.csv:{first + i}", raw) for i in range(count)]
    intake.record(2 * count, {"unreadable": count}, rows)


def test_rows_that_fell_out_at_the_bound_are_counted(store_url: str) -> None:
    """Whatever of them was held at some time, and whatever was not."""
    with Connection(store_url) as connection:
        intake = Intake(connection, "w", keep=5)
        refuse(intake, 0, 3)
        assert (intake.account().held, intake.account().dropped) == (3, 0)
        refuse(intake, 3, 20)
        account = intake.account()
        assert (account.held, account.dropped, account.dropped_readings) == (5, 18, 18)
        assert [row.place for row in intake.list(2)] == ["june.csv:22", "june.csv:21"]


def test_refused_rows_are_bounded_in_bytes(store_url: str) -> None:
    """A row's text is cut, where it is long, and only so many are kept as then have room."""
    with Connection(store_url) as connection:
        intake = Intake(connection, "w", bytes_=50 * ROW_BYTES)
        for i in range(10):
            refuse(intake, 20 * i, 20, raw="é" * 1_000_000)
        held = intake.list(1_000)
        assert len(held) == 50
        assert held[0].raw == "é" * 198 + "…"
        assert held[0].place == "june.csv:199"
        assert connection.redis.memory_usage(intake.dead, samples=0) < 50 * ROW_BYTES


def test_of_a_long_place_the_row_is_kept(store_url: str) -> None:
    """The path is cut, not the number of the row."""
    with Connection(store_url) as connection:
        intake = Intake(connection, "w")
        intake.record(1, {"unreadable": 1}, [RefusedRow("unreadable", "/d" * 500 + ":7", "x")])
        place = intake.list(1)[0].place
        assert (place[0], place[-2:], len(place)) == ("…", ":7", 398)
