"""Who may see the page: the roles of the API, by a token that the browser keeps as a cookie; and
what the browser may load: nothing from elsewhere."""

from __future__ import annotations

from html import escape
from http.cookies import SimpleCookie
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wattstorm.serve.access import Access, Client
from wattstorm.serve.problems import Refused
from wattstorm.serve.tokens import Role

COOKIE: Final = "wattstorm_token"
SIGN_IN: Final = "/sign-in"
_API: Final = "/v1/"
_MOST_BYTES: Final = 4096
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' "
    "'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Door:
    """Around the page's own application. What is below /v1 and not there is the API's 404."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        if path.startswith(_API):
            raise HTTPException(404)
        client = self._client(scope)
        if scope["type"] == "websocket":
            if client is None or client.role < Role.READER:
                await send({"type": "websocket.close", "code": 4401})
                return
            await self.app(scope, receive, send)
            return
        if path == SIGN_IN and scope["method"] == "POST":
            await (await self._sign_in(Request(scope, receive)))(scope, receive, send)
        elif client is None or client.role < Role.READER:
            await _form("" if client else "That token is not known, or was revoked.")(
                scope, receive, send
            )
        else:
            await self.app(scope, receive, _with_headers(send))

    def _client(self, scope: Scope) -> Client | None:
        """None: a token that nobody has."""
        cookies = SimpleCookie(Headers(scope=scope).get("cookie", ""))
        secret = cookies[COOKIE].value if COOKIE in cookies else None
        try:
            return self.access.client(secret, _address(scope))
        except Refused:
            return None

    async def _sign_in(self, request: Request) -> Response:
        """The form's answer: a cookie, or the form again. Who tries often has to wait."""
        if wait_s := self.access.limits.wait_s(f"at {_address(request.scope)}"):
            return _form(f"Too many tries; again in {wait_s:.0f} s.", 429)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _MOST_BYTES:
                return _form("That is no token.")
        secret = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0].strip()
        if not secret or self.access.tokens.find(secret) is None:
            return _form("That token is not known, or was revoked.")
        answer = RedirectResponse("/", 303)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, secret, httponly=True, samesite="strict", secure=secure)
        return answer


def _address(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sending


def _form(said: str, status: int = 401) -> Response:
    told = f'<p role="alert">{escape(said)}</p>' if said else ""
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>wattstorm: sign in</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><style>'
        ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}"
        "main{max-width:22rem;margin:18vh auto;padding:0 1rem}h1{font-size:1.25rem}"
        "label,input,button{display:block;width:100%;box-sizing:border-box;font:inherit}"
        "input,button{padding:.6rem;margin:.4rem 0 1rem}</style><main><h1>wattstorm</h1>"
        f'{told}<form method="post" action="{SIGN_IN}"><label for="token">Token'
        "</label><input id=token name=token type=password required autofocus "
        'autocomplete="current-password"><button>Sign in</button></form>'
        "<p>wattstorm tokens add NAME makes one.</p></main></html>"
    )
    return HTMLResponse(page, status, {**HEADERS, "Cache-Control": "no-store"})
