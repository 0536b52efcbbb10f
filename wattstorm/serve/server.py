"""The server: one process, one port; loopback only, unless it is told otherwise."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from wattstorm.errors import UsageError
from wattstorm.serve.access import LOOPBACK
from wattstorm.settings import Settings

STOP_S = 3


def check_address(settings: Settings) -> None:
    """UsageError for an address that others reach, in clear text."""
    serve = settings.serve
    if bool(serve.certificate) != bool(serve.key):
        raise UsageError(
            "serve.certificate and serve.key: one without the other", "give both, or none"
        )
    if serve.host in LOOPBACK or serve.certificate or serve.insecure:
        return
    raise UsageError(
        f"serve.host is {serve.host!r}: others could read along",
        "give serve.certificate and serve.key, or listen on 127.0.0.1 behind a proxy; "
        "serve.insecure = true allows it all the same",
    )


class Server(uvicorn.Server):
    """told: gets the address once it is listened on."""

    def __init__(self, app: FastAPI, settings: Settings, told: Callable[[str], None]) -> None:
        check_address(settings)
        serve = settings.serve
        super().__init__(
            uvicorn.Config(
                app,
                host=serve.host,
                port=serve.port,
                ssl_certfile=serve.certificate or None,
                ssl_keyfile=serve.key or None,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=STOP_S,
                lifespan="on",
            )
        )
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        self._listens_at = told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1]
            host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
            self._listens_at(f"{'https' if self.config.is_ssl else 'http'}://{host}:{port}")
