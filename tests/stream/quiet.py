"""A topology of one spout that has nothing to say: it stands beside another on a store."""

from __future__ import annotations

from typing import Any

from streamparse import Spout, Topology


class QuietSpout(Spout):
    outputs = ("number",)

    def initialize(self, conf: dict[str, Any], context: dict[str, Any]) -> None:
        pass

    def next_tuple(self) -> None:
        pass


class Quiet(Topology):
    numbers = QuietSpout.spec()
