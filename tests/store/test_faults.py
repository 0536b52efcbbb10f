"""Each refusal of a real store ends as our own error that names the remedy."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.servers import TestServer, has_tls
from tests.store.helpers import Connect, Start, incr
from wattstorm.errors import (
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreRefused,
    StoreUnreachable,
    UsageError,
)
from wattstorm.store.connection import Connection

# ---------------------------------------------------------------- full, read-only


def test_a_full_store_refuses_and_says_so(start_server: Start, connect: Connect) -> None:
    """noeviction at its limit: directly, in a pipeline, in MULTI and in a script."""
    server = start_server(maxmemory="3mb")
    connection = connect(server.url)
    client = connection.redis

    def fill() -> None:
        while True:
            client.append("big", b"x" * 100_000)

    def multi() -> None:
        with client.pipeline(transaction=True) as pipe:
            pipe.set("a", 1).set("b", 2).execute()

    def plain_pipeline() -> None:
        with client.pipeline(transaction=False) as pipe:
            pipe.get("a").set("b", b"READONLY").execute()

    script = "return redis.call('SET', KEYS[1], '1')"
    for call in (fill, multi, plain_pipeline, lambda: client.eval(script, 1, "k")):
        with pytest.raises(StoreFull, match=r"cannot write: the store at .*raise its maxmemory"):
            connection.run("write", call)
    assert connection.run("read", lambda: client.strlen("big")) > 0
    client.delete("big")
    assert incr(connection) == 1


def test_a_replica_is_read_only(start_server: Start, connect: Connect) -> None:
    """Also in a script, and check() warns."""
    primary = start_server(tcp=True)
    replica = start_server(replicaof=f"127.0.0.1 {primary.port}")
    connection = connect(replica.url)
    with pytest.raises(StoreReadOnly, match=r"set store\.url to its primary"):
        incr(connection)
    script = "return redis.call('SET', KEYS[1], '1')"
    with pytest.raises(StoreReadOnly):
        connection.run("commit", lambda: connection.redis.eval(script, 1, "k"))
    assert "replica" in connection.check().warnings[-1]


def test_a_store_without_its_replicas_takes_no_writes(
    start_server: Start, connect: Connect
) -> None:
    """NOREPLICAS is our StoreReadOnly with its own remedy."""
    server = start_server(min_replicas_to_write="1")
    with pytest.raises(StoreReadOnly, match="min-replicas-to-write"):
        incr(connect(server.url))


def test_a_store_that_cannot_write_its_disk_is_read_only(
    start_server: Start, connect: Connect
) -> None:
    """MISCONF after a failed save; waiting for the store waits for its disk too."""
    server = start_server(save="3600 1")
    connection = connect(server.url)
    incr(connection)
    blocker = server.directory / "dump.rdb"
    blocker.mkdir()  # the save's rename onto a directory fails, for root as well
    (blocker / "x").write_text("")
    with pytest.raises(StoreError):
        connection.run("save", connection.redis.save)
    connection.run("save behind", connection.redis.bgsave)
    deadline = time.monotonic() + 10
    while connection.redis.info("persistence")["rdb_last_bgsave_status"] == "ok":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(StoreReadOnly, match="free its disk"):
        incr(connection)
    assert not connection.wait_until_up(0.2)
    shutil.rmtree(blocker)
    connection.run("save", lambda: connection.redis.bgsave())
    assert connection.wait_until_up(10)
    assert incr(connection) == 2


# ---------------------------------------------------------------- refused


def test_a_wrong_password_is_refused_and_never_shown(
    start_server: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None, a wrong one, the right one in the URL and in the environment."""
    server = start_server(requirepass="secret-1", tcp=True)
    with pytest.raises(StoreRefused, match=r"it wants a password.*WATTSTORM_STORE_PASSWORD"):
        incr(connect(server.tcp_url))
    with pytest.raises(StoreRefused, match="check user and password") as refused:
        incr(connect(f"redis://:wrong-2@127.0.0.1:{server.port}"))
    assert "wrong-2" not in str(refused.value)
    assert ":***@127.0.0.1" in str(refused.value)
    assert incr(connect(f"redis://:secret-1@127.0.0.1:{server.port}")) == 1
    assert incr(connect(f"{server.url}?password=secret-1")) == 2
    assert incr(connect(server.url, password="secret-1")) == 3
    monkeypatch.setenv("WATTSTORM_STORE_PASSWORD", "secret-1")
    assert incr(connect(server.url)) == 4
    with pytest.raises(StoreRefused):
        incr(connect(f"redis://:wrong-2@127.0.0.1:{server.port}"))


def test_a_refused_password_is_not_waited_for(start_server: Start, connect: Connect) -> None:
    """Waiting does not mend it: raised at once."""
    server = start_server(requirepass="secret-1")
    with pytest.raises(StoreRefused):
        connect(server.url).wait_until_up(30)


def test_a_user_of_limited_rights_is_told_which_one_he_lacks(
    server: TestServer, connect: Connect
) -> None:
    """ACL: a key outside, a command outside, and within its rights it works."""
    connect(server.url).redis.execute_command(
        "ACL", "SETUSER", "meter", "on", ">pw", "~wattstorm:*", "+@all", "-flushall"
    )
    connection = connect(server.url, user="meter", password="pw")
    assert incr(connection, "wattstorm:n") == 1
    with pytest.raises(StoreRefused, match="ACL SETUSER"):
        incr(connection, "other")
    with pytest.raises(StoreRefused, match="ACL SETUSER"):
        connection.run("empty it", connection.redis.flushall)
    script = "return redis.call('SET', KEYS[1], '1')"
    with pytest.raises(StoreRefused):
        connection.run("commit", lambda: connection.redis.eval(script, 1, "other"))
    assert connection.check().compatible >= (6, 2)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open any socket")
def test_a_socket_that_may_not_be_opened_is_refused(start_server: Start, connect: Connect) -> None:
    """The remedy is about the socket's owner, not about passwords."""
    server = start_server()
    server.socket.chmod(0o000)
    with pytest.raises(StoreRefused, match="unixsocketperm"):
        incr(connect(server.url))


def certificate(directory: Path, name: str = "server") -> tuple[Path, Path]:
    """(certificate, key), self-signed for 127.0.0.1, made for this test."""
    cert, key = directory / f"{name}.crt", directory / f"{name}.key"
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        f"-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -out {cert} -keyout {key}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    return cert, key


def test_tls_works_and_each_way_it_fails_is_named(
    binary: Path, start_server: Start, connect: Connect, tmp_path: Path
) -> None:
    """The right authority; none; another; plain text to TLS and TLS to plain text."""
    if not has_tls(binary):
        pytest.skip(f"{binary.name} was built without TLS")
    cert, key = certificate(tmp_path)
    other, _ = certificate(tmp_path, "other")
    plain = start_server(tcp=True)
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port = asking.getsockname()[1]
    server = start_server(
        tls_port=str(port),
        tls_cert_file=str(cert),
        tls_key_file=str(key),
        tls_ca_cert_file=str(cert),
        tls_auth_clients="optional",
    )
    url = f"rediss://127.0.0.1:{port}/0"
    good = connect(f"{url}?ssl_ca_certs={cert}", timeout_s=2)
    assert incr(good) == 1
    with pytest.raises(StoreUnreachable, match="does it speak TLS at that port"):
        incr(connect(f"rediss://127.0.0.1:{plain.port}/0", timeout_s=0.5))
    for wrong in (url, f"{url}?ssl_ca_certs={other}"):
        with pytest.raises(StoreRefused, match=r"TLS with .* failed.*ssl_ca_certs"):
            incr(connect(wrong, timeout_s=2))
    with pytest.raises(StoreUnreachable, match="no connection"):
        incr(connect(f"redis://127.0.0.1:{port}/0", timeout_s=2))
    server.redis_config("tls-auth-clients", "yes")
    with pytest.raises((StoreRefused, StoreUnreachable), match="ssl_certfile"):
        incr(connect(f"{url}?ssl_ca_certs={cert}", timeout_s=2))
    server.redis_config("tls-auth-clients", "optional")
    server.kill()
    with pytest.raises(StoreUnreachable):
        incr(good)


def test_what_is_no_redis_is_refused(connect: Connect) -> None:
    """A web server's port in REDIS_URL, for instance."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def answer() -> None:
            client, _ = listening.accept()
            with client:
                client.recv(4096)
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(StoreRefused, match="does not speak Redis"):
            incr(connect(f"redis://127.0.0.1:{listening.getsockname()[1]}", timeout_s=2))


@pytest.mark.parametrize(
    "url",
    ["http://host", "redis://h:1?nonsense=1", "redis://:hush@h:1?db=one", "nothing", "unix://"],
)
def test_an_url_that_cannot_be_is_a_usage_error(url: str) -> None:
    """Before anything is sent, and without its password."""
    with pytest.raises(UsageError, match=r"store\.url .*redis://host:6379/0") as refused:
        Connection(url)
    assert "hush" not in str(refused.value)
