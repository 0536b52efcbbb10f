"""A password in a file, TLS with certificates of a private authority: on a real server."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import TestServer, free_port, has_tls
from tests.store.helpers import Connect, Start, incr
from wattstorm.errors import StoreRefused, UsageError
from wattstorm.settings import Settings
from wattstorm.store.connection import Connection, connected, open_connection

SECRET = "s3cret-of-the-store"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    return path


def settings_of(url: str, file: Path) -> Settings:
    return Settings.load(environ={"REDIS_URL": url, "WATTSTORM_STORE_PASSWORD_FILE": str(file)})


def set_password(connection: Connection, password: str, user: str = "default") -> None:
    connection.redis.execute_command("ACL", "SETUSER", user, "on", "resetpass", f">{password}")


def test_the_file_is_read_at_each_connect(start_server: Start, file: Path) -> None:
    """A password that was rotated needs no restart: the same connection goes on."""
    server = start_server(requirepass=SECRET)
    with open_connection(settings_of(server.url, file)) as connection:
        assert incr(connection) == 1
        set_password(connection, "the-new-one")
        file.write_text("the-new-one\r\n")
        connection._pool.disconnect()
        assert incr(connection) == 2


def test_the_file_comes_before_the_url_and_the_environment(
    start_server: Start, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a worker and its supervisor decide alike; without a file it is as before."""
    monkeypatch.setenv("WATTSTORM_STORE_PASSWORD", "wrong-1")
    server = start_server(requirepass=SECRET, tcp=True)
    url = f"redis://:wrong-2@127.0.0.1:{server.port}/0"
    with connected(settings_of(url, file), url) as connection:
        assert incr(connection) == 1
    with Connection(url) as without, pytest.raises(StoreRefused):
        incr(without)


def test_the_embedded_store_is_given_no_password(data: Path, file: Path) -> None:
    """It asks for none, and would refuse one."""
    settings = Settings.load(
        environ={},
        options={"data.directory": data, "store.password_file": str(file)},
    )
    with open_connection(settings) as connection:
        assert incr(connection) == 1


def test_an_acl_user_in_the_url_gets_its_password_from_the_file(
    start_server: Start, file: Path, connect: Connect
) -> None:
    """redis://engine@host: the name there, the password here."""
    server = start_server(tcp=True)
    admin = connect(server.url)
    set_password(admin, SECRET, "engine")
    admin.redis.execute_command("ACL", "SETUSER", "engine", "~*", "+@all")
    url = f"redis://engine@127.0.0.1:{server.port}/0"
    with connected(settings_of(url, file), url) as connection:
        assert connection.redis.execute_command("ACL", "WHOAMI") == b"engine"


def test_a_file_that_cannot_be_used_is_named(server: TestServer, tmp_path: Path) -> None:
    """Missing, empty, no text: refused at the connect, and its content is not in the message."""
    broken = tmp_path / "broken"
    broken.write_bytes(b"hush\xff")
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for path in (tmp_path / "none", broken, empty):
        with (
            connected(settings_of(server.url, path), server.url) as connection,
            pytest.raises(StoreRefused, match=rf"store\.password_file {path}") as said,
        ):
            incr(connection)
        assert "hush" not in str(said.value)
    with pytest.raises(UsageError, match="begins with /"):
        settings_of(server.url, Path("here"))


def test_a_file_that_others_may_read_is_warned_of_once(
    start_server: Start, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No more: where secrets are mounted, nobody can change their mode."""
    server = start_server(requirepass=SECRET)
    file.chmod(0o644)
    with open_connection(settings_of(server.url, file)) as connection:
        connection._pool.disconnect()
        incr(connection)
    warnings = [r.getMessage() for r in caplog.records if "may be read by others" in r.getMessage()]
    assert len(warnings) == 1
    assert str(file) in warnings[0]


def test_no_password_is_in_the_topologys_configuration_or_in_a_log(
    start_server: Start, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the file only the path; of the URL what stands before the @ but the password."""
    caplog.set_level(logging.DEBUG)
    server = start_server(requirepass="another", tcp=True)
    url = f"redis://engine:{SECRET}-in-the-url@127.0.0.1:{server.port}/0"
    settings = settings_of(url, file)
    conf = json.dumps(settings.to_conf())
    assert SECRET not in conf
    assert str(file) in conf
    assert "engine@" in conf
    said = []
    for each in (url, url.replace("redis:", "rediss:")):
        for how in (connected(settings, each), Connection(each, timeout_s=0.5)):
            with how as connection, pytest.raises(Exception, match="cannot count") as failed:
                incr(connection)
            logging.getLogger("test").error("it fails", exc_info=failed.value)
            said += [str(failed.value), repr(failed.value), repr(connection.redis)]
    shown = "\n".join([*said, caplog.text, str(settings.rows())])
    assert "cannot count" in caplog.text
    assert SECRET not in shown


# ---------------------------------------------------------------- TLS


def run(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True)


def authority(directory: Path) -> Callable[[str], tuple[Path, Path]]:
    """Makes (certificate, key) of a name, signed by a private authority: ca.crt there."""
    new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    ca = f"{directory}/ca"
    run(f"openssl req -x509 {new} -days 2 -subj /CN=ca -out {ca}.crt -keyout {ca}.key")
    names = directory / "names"
    names.write_text("subjectAltName=IP:127.0.0.1")

    def signed(name: str) -> tuple[Path, Path]:
        path = directory / name
        run(f"openssl req {new} -subj /CN={name} -out {path}.csr -keyout {path}.key")
        run(
            f"openssl x509 -req -in {path}.csr -CA {ca}.crt -CAkey {ca}.key -CAcreateserial "
            f"-days 2 -extfile {names} -out {path}.crt"
        )
        return Path(f"{path}.crt"), Path(f"{path}.key")

    return signed


@pytest.fixture
def tls_server(binary: Path, start_server: Start, tmp_path: Path) -> tuple[str, str]:
    """(address, the query with authority, certificate and key) of a server that wants both."""
    if not has_tls(binary):
        pytest.skip(f"{binary.name} was built without TLS")
    signed = authority(tmp_path)
    cert, key = signed("server")
    port = free_port()
    server = start_server(
        tls_port=str(port),
        tls_cert_file=str(cert),
        tls_key_file=str(key),
        tls_ca_cert_file=f"{tmp_path}/ca.crt",
        tls_auth_clients="yes",
    )
    with Connection(server.url) as admin:
        set_password(admin, SECRET, "engine")
        admin.redis.execute_command("ACL", "SETUSER", "engine", "~*", "+@all")
        admin.redis.execute_command("ACL", "SETUSER", "default", "off")
    cert, key = signed("client")
    return (
        f"rediss://engine@127.0.0.1:{port}/0",
        f"?ssl_ca_certs={tmp_path}/ca.crt&ssl_certfile={cert}&ssl_keyfile={key}",
    )


def test_tls_with_a_client_certificate_and_an_acl_user(
    tls_server: tuple[str, str], file: Path
) -> None:
    """All of it by the URL, whose paths travel in the topology's configuration."""
    url, query = tls_server
    settings = Settings.from_conf(settings_of(url + query, file).to_conf())
    assert settings.store.url == url + query
    with open_connection(settings) as connection:
        assert incr(connection) == 1


def test_tls_files_that_are_missing_are_named(tls_server: tuple[str, str], file: Path) -> None:
    """A certificate that is not on this node."""
    url, query = tls_server
    bad = url + query.replace("client.crt", "nowhere.crt")
    with (
        connected(settings_of(bad, file), bad) as connection,
        pytest.raises(StoreRefused, match=r"nowhere\.crt.* cannot be read.*on every node"),
    ):
        incr(connection)
