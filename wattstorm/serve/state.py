"""What the paths of one app share: the client of the store, who may ask, and the changes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from wattstorm.readers.results import Results
from wattstorm.serve.fanout import Fanout


def _results(request: Request) -> Results:
    results: Results = request.app.state.results
    return results


def _fanout(request: Request) -> Fanout:
    fanout: Fanout = request.app.state.fanout
    return fanout


Client = Annotated[Results, Depends(_results)]
Changes = Annotated[Fanout, Depends(_fanout)]
