"""Who may ask, how often, and where the server listens."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import Wattstorm
from tests.readers.publishing import Published
from tests.serve.conftest import serving, settings_for
from tests.servers import TestServer
from wattstorm.errors import DataError, UsageError
from wattstorm.serve.access import Access, at_least
from wattstorm.serve.problems import Refused
from wattstorm.serve.server import check_address
from wattstorm.serve.tokens import Role, TokenFile
from wattstorm.settings import Settings


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_with_tokens_only_who_has_one_reads_and_a_revoked_one_ends_at_once(
    redis: TestServer, publish: Published, tmp_path: Path
) -> None:
    settings = settings_for(redis, tmp_path, anonymous="none")
    tokens = TokenFile.of(settings)
    secret = tokens.add("dispatch", "reader")
    with serving(settings) as api:
        refused = api.get("/v1/curves")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert api.get("/v1/curves", headers=bearer("ws_wrong")).status_code == 401
        for path in ("/metrics", "/v1/health", "/v1/changes", "/v1/changes/stream", "/v1/"):
            assert api.get(path).status_code == 401, path
        assert api.get("/v1/curves", headers=bearer(secret)).status_code == 200
        assert api.get("/healthz").status_code == 200
        tokens.revoke("dispatch")
        assert api.get("/v1/curves", headers=bearer(secret)).status_code == 401


def test_a_role_may_what_those_below_it_may_and_no_more(tmp_path: Path) -> None:
    settings = Settings.load(environ={}, options={"data.directory": tmp_path})
    access = Access(settings)
    for role in ("reader", "analyst", "operator"):
        client = access.client(access.tokens.add(role, role), "127.0.0.1")
        for needed in (Role.READER, Role.ANALYST, Role.OPERATOR):
            if needed <= Role.named(role):
                assert at_least(needed)(client) is client
                continue
            with pytest.raises(Refused, match=f"has the role {role}") as refused:
                at_least(needed)(client)
            assert refused.value.status_code == 403
    stranger = access.client(None, "127.0.0.1")
    assert at_least(Role.READER)(stranger)
    with pytest.raises(Refused, match="a token is needed"):
        at_least(Role.ANALYST)(stranger)


def test_nobody_without_a_token_reads_where_others_can_reach(tmp_path: Path) -> None:
    elsewhere = Settings.load(
        environ={}, options={"data.directory": tmp_path, "serve.host": "0.0.0.0"}
    )
    assert Access(elsewhere).anonymous is Role.NONE


def test_more_requests_than_may_be_are_refused_for_that_token_alone(
    redis: TestServer, publish: Published, tmp_path: Path
) -> None:
    settings = settings_for(redis, tmp_path, per_second=0.01, burst=3)
    secret = TokenFile.of(settings).add("busy", "reader")
    with serving(settings) as api:
        got = [api.get("/v1/", headers=bearer(secret)).status_code for _ in range(5)]
        assert got == [200, 200, 200, 429, 429]
        last = api.get("/v1/", headers=bearer(secret))
        assert int(last.headers["retry-after"]) > 1
        assert last.headers["content-type"] == "application/problem+json"
        assert api.get("/v1/").status_code == 200  # who has no token has a bucket of its own
        guesses = [api.get("/v1/", headers=bearer(f"ws_{i}")).status_code for i in range(4)]
        assert guesses == [401, 401, 429, 429]


def test_a_name_that_was_made_to_mean_loopback_is_refused(api: httpx.Client) -> None:
    """DNS rebinding: a page from elsewhere must not read through its visitor's browser."""
    assert api.get("/v1/", headers={"Host": "evil.example"}).status_code == 400


def test_other_addresses_need_tls_or_a_clear_word(tmp_path: Path) -> None:
    def listening(**serve: object) -> Settings:
        options = {f"serve.{name}": value for name, value in serve.items()}
        return Settings.load(environ={}, options={"data.directory": tmp_path, **options})

    for host in ("0.0.0.0", "192.168.1.5", "::"):
        with pytest.raises(UsageError, match="others could read along"):
            check_address(listening(host=host))
    with pytest.raises(UsageError, match="one without the other"):
        check_address(listening(certificate="/x.pem"))
    check_address(listening(host="0.0.0.0", certificate="/x.pem", key="/x.key"))
    check_address(listening(host="0.0.0.0", insecure=True))
    check_address(listening(host="::1"))


def test_the_file_holds_no_secret_and_is_its_owners(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "new" / "tokens.json")
    secret = tokens.add("a", "reader")
    assert secret not in tokens.path.read_text()
    assert stat.S_IMODE(tokens.path.stat().st_mode) == 0o600
    assert tokens.find(secret) == tokens.all()[0]
    with pytest.raises(UsageError, match="already"):
        tokens.add("a", "operator")
    with pytest.raises(UsageError, match="reader, analyst, operator"):
        tokens.add("b", "admin")
    with pytest.raises(UsageError, match="no token 'b'"):
        tokens.revoke("b")
    tokens.path.write_text('{"schema": 9, "tokens": []}')
    with pytest.raises(DataError, match="schema 9"):
        tokens.find(secret)


def test_the_commands_add_list_and_revoke(tmp_path: Path) -> None:
    """On stdout the secret alone, so that it can be piped; the list does not show it."""
    wattstorm = Wattstorm(tmp_path)
    secret = wattstorm("tokens", "add", "dispatch", "--role", "analyst").stdout.strip()
    assert secret.startswith("ws_")
    listed = wattstorm("tokens", "list", "--json").stdout
    assert '"analyst"' in listed
    assert secret not in listed
    wattstorm("tokens", "revoke", "dispatch")
    assert wattstorm.json("tokens", "list") == []
    assert "no token" in wattstorm("tokens", "revoke", "dispatch", code=2).stderr
    assert "others could read" in wattstorm("serve", "--host", "0.0.0.0", code=2).stderr


def test_the_command_prints_its_address_and_ends_by_a_signal(
    redis: TestServer, publish: Published, tmp_path: Path
) -> None:
    wattstorm = Wattstorm(tmp_path, {"WATTSTORM_STORE_URL": redis.url})
    process = wattstorm.start("serve", "--port", 0)
    try:
        assert process.stdout
        address = process.stdout.readline().strip()
        assert httpx.get(f"{address}/v1/").json()["time_zone"] == "Europe/Paris"
        process.terminate()
        assert process.wait(20) in (0, -15, 143)
    finally:
        process.kill()
        process.communicate()


def test_no_other_command_loads_the_web_server() -> None:
    code = "import sys, wattstorm.cli.main; print([m for m in sys.modules if m in sys.argv])"
    heavy = ["fastapi", "uvicorn", "nicegui", "prometheus_client", "pydantic"]
    said = subprocess.run(
        [sys.executable, "-c", code, *heavy],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert said.stdout == "[]\n"
