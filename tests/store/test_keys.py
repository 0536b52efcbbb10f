"""What a key reveals is said by its name; what nobody thought of reveals single homes."""

from __future__ import annotations

import doctest

import wattstorm.store.keys
from wattstorm.store.keys import Space, day_keys, log_keys, partition_keys, space_of, store_keys


def test_a_key_that_no_rule_names_reveals_homes() -> None:
    """The doctest: safe by default."""
    assert doctest.testmod(wattstorm.store.keys).failed == 0


def test_keys_of_every_log_and_consumer_are_in_the_space_of_what_they_hold() -> None:
    """Those of a log and a consumer that are still to come too."""
    scores = partition_keys("w", 3, "segments", "scores")
    homes = [scores.log, scores.partials, scores.dead, f"{scores.own}:of_meter"]
    homes += [partition_keys("w", 0).log, partition_keys("w", 0).dead, day_keys("w", 1).closed]
    work = [scores.head, scores.fence, scores.audit_day(1, 0), scores.dead_account, scores.backlog]
    work += [day_keys("w", 1).stamps, store_keys("w").workers, store_keys("w").engine("Load")]
    curves = [log_keys("w", 0, "slots").log, day_keys("w", 1).curve(0, "region:a:b")]
    for space, keys in ((Space.HOMES, homes), (Space.WORK, work), (Space.CURVES, curves)):
        assert {key: space_of("w", key) for key in keys} == dict.fromkeys(keys, space)


def test_a_prefix_stands_for_itself() -> None:
    """Another store's keys reveal nothing of this one, and are no curves."""
    assert space_of("w", "{x:day:1}:curve:0:nation") is Space.HOMES
    assert space_of("w", "{wx:day:1}:curve:0:nation") is Space.HOMES
