"""What a store says of itself in INFO: product, version, whether it keeps what it is given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from wattstorm.errors import StoreTooOld
from wattstorm.store.binary import MINIMUM, REMEDY


@dataclass(frozen=True)
class StoreInfo:
    """What a store says about itself; `warnings` are sentences for a person."""

    name: str
    """"Redis" or "Valkey"."""
    version: tuple[int, ...]
    """As the product numbers itself: a Valkey 9.1.2 is (9, 1, 2)."""
    compatible: tuple[int, ...]
    """The Redis version whose commands it has: a Valkey 9.1.2 says (7, 2, 4)."""
    aof: bool
    replica: bool
    maxmemory: int
    """Bytes; 0: no limit."""
    policy: str
    warnings: tuple[str, ...] = field(default=())

    @property
    def product(self) -> str:
        return f"{self.name} {'.'.join(map(str, self.version))}"

    @property
    def evicts(self) -> bool:
        """Whether it drops keys when its memory is full."""
        return self.policy != "noeviction" and self.maxmemory > 0

    @property
    def has_waitaof(self) -> bool:
        return self.compatible >= (7, 2)

    @property
    def exact_waitaof(self) -> bool:
        """See `DurableProbe`: earlier versions, and Valkey to this day, answer too soon."""
        return self.name == "Redis" and self.version >= (8,)


def parse_info(text: str) -> StoreInfo:
    """The text of INFO → StoreInfo, or StoreTooOld."""
    said = dict(re.findall(r"^(\w+):(.*?)\r?$", text, re.MULTILINE))
    compatible = _version(said.get("redis_version", ""))
    valkey = _version(said.get("valkey_version", ""))
    info = StoreInfo(
        name="Valkey" if valkey else "Redis",
        version=valkey or compatible,
        compatible=compatible,
        aof=said.get("aof_enabled") == "1",
        replica=said.get("role") == "slave",
        maxmemory=int(said.get("maxmemory", 0)),
        policy=said.get("maxmemory_policy", ""),
    )
    if compatible < MINIMUM:
        needed = ".".join(map(str, MINIMUM))
        found = info.product if compatible else "no version"
        raise StoreTooOld(
            f"wattstorm needs Redis {needed} or Valkey; the store says {found}", REMEDY
        )
    return StoreInfo(**{**vars(info), "warnings": tuple(_warnings(info))})


def _warnings(info: StoreInfo) -> Iterator[str]:
    if info.policy != "noeviction":
        limit = "once a limit is set" if info.maxmemory == 0 else "when its memory is full"
        yield (
            f"the store may evict keys {limit} (maxmemory-policy {info.policy}): readings would "
            "vanish in silence; set maxmemory-policy noeviction"
        )
    if not info.aof:
        yield "the store keeps no append-only file, a restart loses data; set appendonly yes"
    if info.replica:
        yield "the store is a replica and takes no writes; set store.url to its primary"


def _version(text: str) -> tuple[int, ...]:
    """ "7.2.4" → (7, 2, 4); what follows the numbers, as in 8.0-rc1, is left out."""
    match = re.match(r"\d+(\.\d+)*", text)
    return tuple(map(int, match[0].split("."))) if match else ()
