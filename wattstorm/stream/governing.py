"""What governs the curves: of the versions and rules that the partitions have in force, the newest.

A partition that takes a new one over marks its open slots as dirty, so the last to do so has
all of them published with it: what is expected, which curves there are, when a slot is final.
"""

from __future__ import annotations

from collections.abc import Sequence

from wattstorm.metering.aggregates import Scopes
from wattstorm.metering.results import Finality
from wattstorm.metering.rules import Rules
from wattstorm.register.register import Register
from wattstorm.register.versions import Versions
from wattstorm.stream.controls import newest_rules, newest_version


class Governing:
    """rules: before any partition says others."""

    def __init__(self, versions: Versions, rules: Rules) -> None:
        self.versions = versions
        self._follow(versions.newest(), rules)
        self._heard: tuple[frozenset[str], frozenset[str]] = frozenset(), frozenset()

    def hear(self, registers: Sequence[str], rules: Sequence[str]) -> None:
        """What each partition has in force, as its fence says; "" where nobody has it yet."""
        heard = frozenset(registers) - {""}, frozenset(rules) - {""}
        if heard == self._heard:
            return
        version, numbered = newest_version(heard[0]), newest_rules(heard[1])
        register = self.register if version is None else self.versions.open(version)
        self._follow(register, self.rules if numbered is None else numbered.rules)
        self._heard = heard

    def _follow(self, register: Register, rules: Rules) -> None:
        self.register, self.rules = register, rules
        self.scopes = Scopes(register, rules.scopes)
        self.finality = Finality.of(rules, rules.final_coverage)
