"""What is in force, as texts: in entries of the log, in the fence, in a snapshot's header.

A register version is named by its number and checksum (`register.versions.Version`), rules are
JSON with a running number, so that of those which several partitions have in force the newest
can be told. What `announce_register` and `announce_rules` append is in force from there on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from wattstorm.errors import DataError, RegisterError
from wattstorm.metering.rules import Rules
from wattstorm.register.register import Register
from wattstorm.register.versions import Version
from wattstorm.store.control import RACES, REGISTER, RULES, Control, Placed

FIRST = "first:"
"""Before a kind, in the fence: what was in force before the log's first entry of it."""


class NumberedRules(NamedTuple):
    """Rules, and how many others were said before them."""

    number: int
    rules: Rules

    @classmethod
    def parse(cls, text: str) -> NumberedRules:
        try:
            plain = json.loads(text)
            return cls(int(plain["number"]), Rules.from_dict(plain))
        except (LookupError, TypeError, ValueError) as error:
            raise DataError(f"rules that say {text[:200]!r}", "no wattstorm wrote them") from error

    def __str__(self) -> str:
        return json.dumps({"number": self.number, **self.rules.to_dict()}, sort_keys=True)


def first_of(register: Register, rules: Rules) -> dict[str, str]:
    """Scalars of a fence that nobody had before: in force from position 0 on."""
    texts = {REGISTER: str(Version.of(register)), RULES: str(NumberedRules(0, rules))}
    return texts | {f"{FIRST}{kind}": text for kind, text in texts.items()}


def texts_in(scalars: Mapping[str, bytes], prefix: str = "") -> dict[str, str]:
    """By kind what a fence says is in force; with FIRST, what was at position 0."""
    return {kind: scalars[f"{prefix}{kind}"].decode() for kind in (REGISTER, RULES)}


def newest_version(texts: Iterable[str]) -> Version | None:
    return max((Version.parse(text) for text in texts if text), default=None)


def newest_rules(texts: Iterable[str]) -> NumberedRules | None:
    """Of others with the same number (two first owners may know other settings) the same one
    whoever asks."""
    numbered = ((NumberedRules.parse(text), text) for text in set(texts) if text)
    found = max(numbered, key=lambda each: (each[0].number, each[1]), default=None)
    return found and found[0]


def announce_register(
    control: Control, register: Register, *, everywhere: bool = False
) -> list[Placed]:
    """Append the register's version to each partition where an older one was said last; where.

    Repeated, it appends nothing. everywhere: where nobody said anything, too; such a partition's
    first owner takes the newest version that it finds, which may be older by that moment.
    RegisterError if another register was said under this version's number.
    """
    mine, partitions = Version.of(register), range(register.partitions)
    placed: list[Placed] = []
    for _ in range(RACES):
        todo = []
        for said in control.newest(REGISTER, partitions):
            held = Version.parse(said.text) if said.text else None
            if held and held.number == mine.number and held != mine:
                raise RegisterError(
                    f"partition {said.partition} of the stream has another register version "
                    f"{held.number}",
                    "bring that register's directory back, or use another store.prefix",
                )
            if everywhere if held is None else held.number < mine.number:
                todo.append(said)
        if not todo:
            break
        placed += [at for at in control.append(REGISTER, str(mine), todo) if at.position]
    return placed


def announce_rules(control: Control, rules: Rules, partitions: Sequence[int]) -> list[Placed]:
    """The same for rules, where others were said last."""
    placed: list[Placed] = []
    for _ in range(RACES):
        said = control.newest(RULES, partitions)
        newest = newest_rules(each.text for each in said)
        if newest is None:
            return placed  # the first owners say it
        same = newest.rules.to_dict() == rules.to_dict()
        mine = newest if same else NumberedRules(newest.number + 1, rules)
        todo = [each for each in said if each.text not in ("", str(mine))]
        if not todo:
            break
        placed += [at for at in control.append(RULES, str(mine), todo) if at.position]
    return placed
