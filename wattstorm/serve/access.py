"""Who asks, whether they may, and how often: what each path depends on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from wattstorm.serve.limits import Limits, retry_after
from wattstorm.serve.problems import Refused
from wattstorm.serve.tokens import Role, TokenFile
from wattstorm.settings import Settings

LOOPBACK = ("127.0.0.1", "::1", "localhost")

_bearer = HTTPBearer(auto_error=False, description="A token of `wattstorm tokens add`.")


class Client(NamedTuple):
    """Who asks. name: the token's, or the address of one without."""

    name: str
    role: Role


class Access:
    """Tokens, what one without a token may, and how often each may ask."""

    def __init__(self, settings: Settings) -> None:
        serve = settings.serve
        self.tokens = TokenFile.of(settings)
        self.limits = Limits(serve.per_second, serve.burst)
        role = serve.anonymous
        if role == "auto":
            role = "reader" if serve.host in LOOPBACK else "none"
        self.anonymous = Role[role.upper()]

    def client(self, secret: str | None, address: str) -> Client:
        """Refused (401) for a token that nobody has."""
        if secret is None:
            return Client(f"at {address}", self.anonymous)
        token = self.tokens.find(secret)
        if token is None:
            raise _unknown("the token is not known, or was revoked")
        return Client(token.name, Role.named(token.role))


def client_of(
    request: Request,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Client:
    """Counts the request: an unknown token against the address that it came from."""
    access: Access = request.app.state.access
    address = request.client.host if request.client else ""
    secret = given.credentials if given else request.headers.get("authorization")
    try:
        client = access.client(secret, address)
    except Refused:
        _count(access, f"at {address}")
        raise
    _count(access, client.name)
    return client


def at_least(role: Role) -> Callable[..., Client]:
    """A dependency: the client, if it may; else 401 without a token, 403 with one."""

    def check(client: Annotated[Client, Depends(client_of)]) -> Client:
        if client.role >= role:
            return client
        if client.name.startswith("at "):
            raise _unknown("a token is needed")
        raise Refused(
            403,
            f"the token {client.name!r} has the role {client.role.name.lower()}",
            f"this needs {role.name.lower()}",
        )

    return check


def _count(access: Access, name: str) -> None:
    if wait_s := access.limits.wait_s(name):
        raise Refused(
            429,
            f"more than {access.limits.per_second:g} requests a second",
            f"try again in {wait_s:.1f} s",
            {"Retry-After": retry_after(wait_s)},
        )


def _unknown(what: str) -> Refused:
    remedy = "send Authorization: Bearer TOKEN; wattstorm tokens add NAME makes one"
    return Refused(401, what, remedy, {"WWW-Authenticate": "Bearer"})
