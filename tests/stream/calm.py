"""A topology whose spout never starts."""

from __future__ import annotations

from typing import Any

from streamparse import Spout, Topology


class CalmSpout(Spout):
    outputs = ("number",)

    def initialize(self, conf: dict[str, Any], context: dict[str, Any]) -> None:
        raise ValueError("no wind today")


class Calm(Topology):
    numbers = CalmSpout.spec()
