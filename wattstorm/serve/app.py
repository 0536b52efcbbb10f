"""The app: all paths on one client of the store.

The page mounts itself on it: `ui.run_with(make_app(settings, results))`. What it needs is in
`app.state`: `all` and `public` (a client of the store and its changes as they happen, for who may
see single meters and for who may not), `access` (tokens and roles).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.trustedhost import TrustedHostMiddleware

from wattstorm import __version__
from wattstorm.readers.public import Public
from wattstorm.readers.results import Results
from wattstorm.serve import changes, curves, forecasts, health, metrics, problems, scores
from wattstorm.serve.access import Access
from wattstorm.serve.fanout import Fanout
from wattstorm.serve.state import View
from wattstorm.settings import Settings

ABOUT = """Load curves as they are published, and how the stream is doing. Times are UTC, days are
local; energies are whole Wh. Errors are `application/problem+json`. Who has a token sends it as
`Authorization: Bearer …`."""


def make_app(settings: Settings, results: Results) -> FastAPI:
    """results: an open client, which the caller closes when the app has ended."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        views = (app.state.all, app.state.public)
        for view in views:
            view.fanout.start()
        yield
        for view in views:
            await view.fanout.stop()

    app = FastAPI(
        title="wattstorm",
        version=__version__,
        description=ABOUT,
        lifespan=lifespan,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
    )
    public = Public(results.connection, settings)
    app.state.all = View(results, Fanout(results, settings.serve.followers))
    app.state.public = View(public, Fanout(public, settings.serve.followers))
    app.state.access = Access(settings)
    app.state.metrics = metrics.registry_of(
        results, public, [app.state.all.fanout, app.state.public.fanout]
    )
    # A page of elsewhere whose name was made to mean this address must not read here.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(settings.serve.names))
    problems.install(app)
    for part in (curves, forecasts, scores, changes, health, metrics):
        app.include_router(part.router)
    _document(app)
    return app


def _document(app: FastAPI) -> None:
    """OpenAPI with our problems in place of FastAPI's own errors."""

    def openapi() -> dict[str, object]:
        if not app.openapi_schema:
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            schemas = made["components"]["schemas"]
            schemas["Problem"] = problems.Problem.model_json_schema()
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
