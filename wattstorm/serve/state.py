"""What the paths of one app share: the client of the store, who may ask, and the changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from wattstorm.readers.results import Results
from wattstorm.serve import access
from wattstorm.serve.fanout import Fanout
from wattstorm.serve.tokens import Role


@dataclass(frozen=True)
class View:
    """What one kind of client sees of the store, and its changes."""

    results: Results
    fanout: Fanout


def _view(request: Request, client: Annotated[access.Client, Depends(access.client_of)]) -> View:
    """Who may not see single meters sees no curve of few."""
    state = request.app.state
    view: View = state.all if client.role >= Role.ANALYST else state.public
    return view


def _results(view: Annotated[View, Depends(_view)]) -> Results:
    return view.results


def _fanout(view: Annotated[View, Depends(_view)]) -> Fanout:
    return view.fanout


Client = Annotated[Results, Depends(_results)]
Changes = Annotated[Fanout, Depends(_fanout)]
