"""Register versions and rules are entries of the log: their place decides, not who restarts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bolts.aggregate import AggregateBolt
from bolts.publish import PublishBolt
from spouts.readings import ReadingsSpout
from tests.servers import TestServer
from tests.stream.parts import append, started
from tests.stream.slotslog import entries as slots_log
from tests.stream.town import Town
from wattstorm.engine.watch import Watch
from wattstorm.errors import RegisterError, StoreError, UsageError
from wattstorm.files.meters import build_register
from wattstorm.metering import block as blocks
from wattstorm.metering.rules import Rules
from wattstorm.metering.slots import LocalCalendar, SlotGrid
from wattstorm.readers.results import Results
from wattstorm.register.register import Register
from wattstorm.store.control import PRICES, REGISTER, RULES, WEATHER, Control, slots_control
from wattstorm.stream.controls import NumberedRules, newest_rules

HEAD = "external_id,tariff,region,contracted_power_va,producer,valid_from\n"
DAY = date(2024, 5, 10)
SLOT = LocalCalendar(SlotGrid(30), "Europe/Paris").day_slots(DAY).start + 20


def meters(directory: Path, *rows: str) -> Register:
    """Build or extend the register in `directory`: rows of "id,tariff,valid_from"."""
    source = directory / "meters.csv"
    lines = [row.split(",") for row in rows]
    source.write_text(HEAD + "".join(f"{i},{t},r,6000,false,{day}\n" for i, t, day in lines))
    size = None if (directory / "register").exists() else 3
    return build_register([source], directory / "register", partition_size=size)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Two meters of tariffs a and b, in one partition."""
    register = meters(tmp_path, "77,a,2010-01-01", "78,b,2010-01-01")
    with TestServer(tmp_path / "store") as server:
        town = Town(tmp_path, server.url, register, {"snapshot.every_s": 3600.0})
        introduced(town)
        yield town


def watched(town: Town, work: Any) -> Any:
    with town.connect() as connection:
        return work(Watch(connection, town.settings, town.register))


def introduced(town: Town) -> None:
    """What the start of an engine says to the store."""
    watched(town, Watch.introduce)


def extended(town: Town, *rows: str) -> list[int]:
    """`wattstorm register build`, as a store hears of it; the positions of its entries."""
    town.register = meters(town.directory, *rows)
    return [placed.position for placed in watched(town, Watch.extend)]


def sent(town: Town, first: int, *readings: tuple[int, int, int]) -> None:
    """(meter, Wh, version) each in a block of its own; first: of the test's own producer."""
    town_blocks = [blocks.readings(0, [m], SLOT, [wh], version=v) for m, wh, v in readings]
    append(town, 0, [blocks.encode(block) for block in town_blocks], first=first)


def curves(town: Town) -> dict[str, tuple[int, int, int, int]]:
    """label → (Wh, readings, expected, revision) of the slot, after the publisher's next tick."""
    started(PublishBolt, town).tick()
    introduced(town)
    with Results.open(town.settings) as results:
        assert results.conservation().holds
        assert all(balance.holds for balance in results.balances()), results.balances()
        return {
            label: tuple(int(n[there][0]) for n in (c.wh, c.readings, c.expected, c.revision))
            for label, c in results.curves(first=DAY).items()
            if (there := c.published).any()
        }  # type: ignore[misc]


def test_a_meter_is_taken_from_the_entry_of_its_register_on_whoever_replays(town: Town) -> None:
    """Its reading was refused before; replayed after a crash it stays refused, and sent again
    it is new, not a double of one that is in no sum."""
    sent(town, 1, (0, 100, 0), (2, 55, 0))
    assert started(AggregateBolt, town).give(0, 1, 2, 1) == "ack"
    assert curves(town)["nation"] == (100, 1, 2, 1)
    assert extended(town, "79,a,2010-01-01") == [3]
    sent(town, 3, (2, 55, 0), (0, 150, 1))
    assert started(AggregateBolt, town).give(0, 3, 5, 1) == "ack"
    assert curves(town)["nation"] == (205, 2, 3, 2)
    with town.connect() as connection:
        audit = town.stores(connection)[0].audit()
    assert {name: audit[name] for name in ("new", "corrected", "unknown_meter")} == {
        "new": 2,
        "corrected": 1,
        "unknown_meter": 1,
    }


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("restart", [True, False])
def test_a_tariff_change_in_the_open_days_moves_what_is_summed(
    town: Town, restart: bool, snapshot: bool
) -> None:
    """The same three entries give the same curves with a restart and without, out of a snapshot
    and out of the log; nothing of the old tariff stays behind."""
    sent(town, 1, (0, 100, 0), (1, 10, 0))
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 2, 1) == "ack"
    assert curves(town)["tariff:a"] == (100, 1, 1, 1)
    if snapshot:
        bolt.component.stop()
    if restart:
        bolt = started(AggregateBolt, town)
    assert extended(town, f"77,b,{DAY}") == [3]
    sent(town, 3, (0, 120, 1))
    assert bolt.give(0, 3, 4, 1) == "ack"
    found = curves(town)
    assert found["nation"] == (130, 2, 2, 3)
    assert found["tariff:b"] == (130, 2, 2, 3)
    assert found["tariff:a"] == (0, 0, 0, 3)


def test_what_is_expected_follows_the_version_in_force(town: Town) -> None:
    """A change without a reading after it is published with the entry, and not before."""
    sent(town, 1, (0, 100, 0))
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 1, 1) == "ack"
    assert extended(town, "79,a,2010-01-01") == [2]
    assert curves(town)["nation"] == (100, 1, 2, 1)
    assert bolt.give(0, 2, 2, 1) == "ack"
    assert curves(town)["nation"] == (100, 1, 3, 1)
    assert extended(town) == []


def test_a_margin_judges_what_comes_after_its_entry(town: Town) -> None:
    """6 kVA over half an hour with 1.2 is 3,600 Wh: refused, also when replayed under 2.0."""
    sent(town, 1, (0, 100, 0), (1, 4000, 0))
    assert started(AggregateBolt, town).give(0, 1, 2, 1) == "ack"
    town.options["stream.power_margin"] = 2.0
    introduced(town)
    introduced(town)
    sent(town, 3, (1, 4000, 0))
    assert started(AggregateBolt, town).give(0, 3, 4, 1) == "ack"
    assert curves(town)["nation"] == (4100, 2, 2, 1)
    with town.connect() as connection:
        assert town.log(connection).tails([0]) == [4]  # one entry of rules, however often said
        assert town.stores(connection)[0].audit()["too_high"] == 1


def test_of_rules_with_one_number_the_same_are_the_newest_whoever_asks() -> None:
    """Two first owners with other settings: publishers in two processes must follow one of them."""
    rules = Rules(SlotGrid(30), LocalCalendar(SlotGrid(30), "UTC"))
    texts = [str(NumberedRules(n, replace(rules, open_days=d))) for n in (1, 2) for d in range(9)]
    asked = [newest_rules(texts[at:] + texts[:at]) for at in range(len(texts))]
    assert {str(found) for found in asked} == {max(texts[9:])}


def test_scopes_that_change_are_published_anew(town: Town) -> None:
    """Of the open days, without a reading; the old curves stay as they were."""
    sent(town, 1, (0, 100, 0))
    assert started(AggregateBolt, town).give(0, 1, 1, 1) == "ack"
    town.options["stream.scopes"] = ["nation"]
    introduced(town)
    assert started(AggregateBolt, town).give(0, 2, 2, 1) == "ack"
    assert curves(town) == {"nation": (100, 1, 2, 1)}
    town.options["stream.scopes"] = ["nation", "tariff"]
    introduced(town)
    assert started(AggregateBolt, town).give(0, 3, 3, 1) == "ack"
    assert set(curves(town)) == {"nation", "tariff:a", "tariff:b"}


def test_a_partition_that_a_register_adds_is_read_at_once(town: Town) -> None:
    """By a spout and a publisher that started before it was there."""
    spout, publisher = started(ReadingsSpout, town), started(PublishBolt, town)
    bolt = started(AggregateBolt, town)
    sent(town, 1, (0, 100, 0))
    assert bolt.give(0, 1, 1, 1) == "ack"
    publisher.tick()
    assert extended(town, "79,a,2010-01-01", "80,c,2010-01-01") == [2, 1]
    new = blocks.encode(blocks.readings(1, [3], SLOT, [7]))
    append(town, 1, [new], first=1)
    spout.component._check_at = 0.0
    for _ in range(2):
        spout.component.next_tuple()
    for partition, first, last, attempt in sorted(spout.emitted()):
        assert bolt.give(partition, first, last, attempt) == "ack"
        publisher.give(partition, last)
    publisher.tick()
    with Results.open(town.settings) as results:
        nation = results.national(DAY)
        assert nation.wh[nation.published].tolist() == [107]
        assert nation.expected[nation.published].tolist() == [4]


def test_a_version_that_is_not_here_stops_its_partition_and_says_so(town: Town) -> None:
    """It goes on, without loss, once the version is there; no block is to blame."""
    sent(town, 1, (0, 100, 0))
    bolt = started(AggregateBolt, town)
    extended(town, "79,a,2010-01-01")
    away = town.directory / "away"
    (town.directory / "register" / "version-000002").rename(away)
    (town.directory / "register" / "card.json").rename(town.directory / "card")
    (town.directory / "register" / "card.json").write_bytes(
        (town.directory / "register" / "version-000001" / "card.json").read_bytes()
    )
    for attempt in range(7):
        assert bolt.give(0, 1, 2, attempt) == "fail"
    with town.connect() as connection:
        assert "has no register version 2" in town.stores(connection)[0].fence().fault
    away.rename(town.directory / "register" / "version-000002")
    assert bolt.give(0, 1, 2, 8) == "ack"
    assert curves(town)["nation"] == (100, 1, 3, 1)


def test_a_partition_that_nobody_took_begins_with_the_newest_version(town: Town) -> None:
    """Entries of older ones, said before its first owner came, change nothing, replayed or not."""
    assert extended(town, "79,a,2010-01-01") == [1]
    sent(town, 1, (2, 7, 0))
    assert extended(town, f"79,b,{DAY}") == [3]
    sent(town, 2, (2, 8, 1))
    assert started(AggregateBolt, town).give(0, 1, 2, 1) == "ack"
    assert started(AggregateBolt, town).give(0, 3, 4, 1) == "ack"
    found = curves(town)
    assert (found["nation"][:3], found["tariff:b"][:3]) == ((8, 1, 3), (8, 1, 2))


def test_an_engine_with_an_older_register_is_refused(town: Town) -> None:
    """And so is another register under the same number: its sums would be of other meters."""
    old = town.register
    extended(town, "79,a,2010-01-01")
    with town.connect() as connection:
        with pytest.raises(UsageError, match="the stream has register version 2, here is 1"):
            Watch(connection, town.settings, old).introduce()
        (town.directory / "other").mkdir()
        meters(town.directory / "other", "1,a,2010-01-01")
        other = meters(town.directory / "other", "2,z,2010-01-01")
        with pytest.raises(RegisterError, match="has another register version 2"):
            Watch(connection, town.settings, other).introduce()


def test_the_same_is_said_once_and_an_older_word_not_at_all(town: Town) -> None:
    """Whoever decided by what was said before is told so; nothing is appended."""
    with town.connect() as connection:
        control = Control(connection, "wattstorm")
        before = control.newest(RULES, [0])
        assert control.append(RULES, "{}", before)[0].position == 1
        assert control.append(RULES, "{}", control.newest(RULES, [0]))[0].position == 0
        assert control.append(RULES, "another", before)[0].position == 0
        assert town.log(connection).tails([0]) == [1]
        assert town.log(connection).read(0, 1, 1)[0].kind == RULES


def test_what_was_said_last_is_amended_once_whoever_else_speaks(town: Town) -> None:
    """Repeated it appends nothing; if another spoke meanwhile, what it said is taken into account;
    and whoever reads the log for slots is not disturbed."""
    with town.connect() as connection:
        control = slots_control(connection, "wattstorm")
        other = iter(["a"])

        def added(text: str) -> str:
            if "a" in other:  # once
                control.amend(WEATHER, lambda held: held + "a")
            return text if "b" in text else text + "b"

        assert control.amend(WEATHER, added).position == 2
        assert control.newest(WEATHER, [0])[0].text == "ab"
        assert control.amend(WEATHER, added).position == 0
        assert slots_log(connection) == []
        calls = itertools.count()
        with pytest.raises(StoreError, match="5 others changed"):
            control.amend(PRICES, lambda held: quarrel(control, str(next(calls))))


def quarrel(control: Control, word: str) -> str:
    """While it is thought what to say, another says something."""
    control.append(PRICES, word, control.newest(PRICES, [0]))
    return f"not {word}"


def test_what_no_replay_needs_is_told_by_where_the_log_is_trimmed(town: Town) -> None:
    """The version in force where nothing was said; none while an entry of another is there."""
    with town.connect() as connection:
        control = Control(connection, "wattstorm")
        assert control.settled(REGISTER, [0]) == [""]
        sent(town, 1, (0, 100, 0))
        bolt = started(AggregateBolt, town)
        assert bolt.give(0, 1, 1, 1) == "ack"
        assert control.settled(REGISTER, [0])[0].startswith("1 ")
        extended(town, "79,a,2010-01-01")
        assert bolt.give(0, 2, 2, 1) == "ack"
        assert control.settled(REGISTER, [0]) == [""]
        token = town.stores(connection)[0].fence().token
        town.log(connection).trim(0, 2, token)
        assert control.settled(REGISTER, [0])[0].startswith("2 ")


def test_control_that_cannot_be_read_is_set_aside(town: Town) -> None:
    """An unknown kind, and rules that are none: dead letters; what follows is summed."""
    with town.connect() as connection:
        control = Control(connection, "wattstorm")
        for kind, text in ((RULES, "no JSON"), ("prices", "[]"), (REGISTER, "x")):
            control.append(kind, text, control.newest(kind, [0]))
        sent(town, 1, (0, 100, 0))
        assert started(AggregateBolt, town).give(0, 1, 4, 1) == "ack"
        audit = town.stores(connection)[0].audit()
    assert (audit["refused_blocks"], audit["new"]) == (3, 1)
