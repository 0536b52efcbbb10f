"""The hardened storm.yaml: YAML, and no key that Storm would silently pass over."""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from wattstorm.cluster.home import storm_home

SAMPLE = Path(__file__).parents[2] / "deploy" / "storm" / "storm.yaml.sample"
CLASSES = (
    ("client", "org/apache/storm/Config.class"),
    ("server", "org/apache/storm/DaemonConfig.class"),
)
KEY = re.compile(r"[a-z]+(\.[A-Za-z0-9_-]+)+")
SIZES = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4}
"""Bytes after the tag of each entry of a class file's constants; 5 and 6 count as two entries."""


def strings(data: bytes) -> Iterator[str]:
    """The text constants of a Java class file (JVM specification, 4.4)."""
    (count,), at, entry = struct.unpack_from(">H", data, 8), 10, 1
    while entry < count:
        tag = data[at]
        if tag == 1:
            (size,) = struct.unpack_from(">H", data, at + 1)
            yield data[at + 3 : at + 3 + size].decode("utf-8", "replace")
            at += 3 + size
        else:
            at += 1 + SIZES[tag]
        entry += 2 if tag in (5, 6) else 1


@pytest.fixture(scope="module")
def storms() -> set[str]:
    """Every key that Storm knows: its defaults, and the constants of its two Config classes."""
    lib, known = storm_home().directory / "lib", set()
    for name, entry in CLASSES:
        (jar,) = lib.glob(f"storm-{name}-*.jar")
        with zipfile.ZipFile(jar) as inside:
            known |= {text for text in strings(inside.read(entry)) if KEY.fullmatch(text)}
            if name == "client":
                known |= set(YAML(typ="safe").load(inside.read("defaults.yaml")))
    return known


@pytest.fixture(scope="module")
def sample() -> dict[str, Any]:
    found = YAML(typ="safe", pure=True).load(SAMPLE.read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def test_storm_knows_every_key(sample: dict[str, Any], storms: set[str]) -> None:
    """The commented-out ones, too."""
    commented = set(re.findall(r"^# ([a-z]+\.[\w.]+): ", SAMPLE.read_text(), re.M))
    assert len(storms) > 400
    assert {"nimbus.admins", "storm.zookeeper.superACL"} <= commented
    assert (set(sample) | commented) - storms == set()


def test_what_is_closed_is_closed(sample: dict[str, Any]) -> None:
    """No Java objects from the network, TLS between workers and to ZooKeeper, UI on loopback."""
    assert sample["topology.fall.back.on.java.serialization"] is False
    for daemon in ("nimbus", "supervisor"):
        assert "-Djava.deserialization.disabled=true" in sample[f"{daemon}.childopts"]
    assert sample["storm.messaging.netty.tls.enable"] is True
    assert sample["storm.zookeeper.ssl.enable"] is True
    assert sample["ui.host"] == "127.0.0.1"
