"""The sections of the settings: each setting's type, default, limits and one line of meaning."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wattstorm import setting_values as values
from wattstorm.setting_values import Limits

SCOPES = ("nation", "tariff", "region")


def setting(default: Any, description: str, **limits: Any) -> Any:
    """A dataclass field that carries its one-line description and its `Limits`."""
    metadata = {"description": description, "limits": Limits(**limits)}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def default_directory() -> Path:
    """The XDG base directory specification: a relative XDG_DATA_HOME is ignored."""
    base = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".local" / "share") / "wattstorm"


@dataclass(frozen=True, kw_only=True)
class Data:
    directory: Path = setting(  # noqa: RUF009 (a dataclass field, as all below)
        default_directory,
        "where the embedded store, the registers and the snapshots live",
    )


@dataclass(frozen=True, kw_only=True)
class Store:
    url: str = setting(
        "",
        "the Redis or Valkey to use: redis://, rediss:// (TLS) or unix://; empty: the embedded one",
        check=values.store_url,
        secret=True,
    )
    password_file: str = setting(
        "",
        "a file with the password of store.url, on every node; read at each connect",
        check=values.absolute_path,
    )
    prefix: str = setting(
        "wattstorm", "what every key in the store begins with", check=values.key_prefix
    )
    timeout_s: float = setting(
        5.0, "how long one call may wait for the store's answer", low=0.05, high=3600
    )
    on_eviction: str = setting(
        "refuse",
        "a store that evicts keys when its memory is full: do not run on it, or only warn",
        choices=("refuse", "warn"),
    )


@dataclass(frozen=True, kw_only=True)
class Stream:
    slot_minutes: int = setting(30, "length of a slot", choices=(10, 15, 30, 60))
    time_zone: str = setting(
        "Europe/Paris", "the zone whose midnights bound a local day", check=values.time_zone
    )
    open_days: int = setting(
        3, "local days whose readings are taken: today and those before it", low=1, high=31
    )
    future_minutes: int = setting(
        15, "how far ahead of the clock a slot may end and still be taken", low=0, high=10_080
    )
    power_margin: float = setting(
        1.2, "a reading above contracted power × slot × this is refused", low=1.0, high=100.0
    )
    final_coverage: float = setting(
        0.99, "share of the expected meters from which a slot is final", low=0.0, high=1.0
    )
    deadline_hours: float = setting(
        24.0,
        "hours after its end at which a slot is final whatever its coverage, in the time of each "
        "partition",
        low=0,
        high=744,
    )
    scopes: tuple[str, ...] = setting(SCOPES, "what curves are summed by", choices=SCOPES)


@dataclass(frozen=True, kw_only=True)
class Log:
    backlog_mb: int = setting(
        512, "what may wait uncommitted, in MB, over all partitions", low=1, high=1_048_576
    )
    when_full: str = setting(
        "block",
        "what a producer does at that bound: wait, or shed and count",
        choices=("block", "shed"),
    )
    full_timeout_s: float = setting(
        0.0, "how long a producer waits at that bound before it gives up; 0: for ever", low=0
    )


@dataclass(frozen=True, kw_only=True)
class Batch:
    max_blocks: int = setting(16, "blocks in one batch, at most", low=1, high=4096)
    pending: int = setting(4, "batches in flight in one partition, at most", low=1, high=1024)
    attempts: int = setting(
        5,
        "how often a block that makes its bolt fail or die is tried before it goes to the "
        "dead letters",
        low=1,
        high=1000,
    )


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    every_mb: int = setting(
        256, "log read since the last snapshot, in MB, over all partitions", low=1, high=1_048_576
    )
    every_s: float = setting(30.0, "seconds between two snapshots of a task", low=0.1, high=86_400)


@dataclass(frozen=True, kw_only=True)
class DeadLetters:
    keep: int = setting(
        10_000, "refused blocks and readings kept in one partition", low=0, high=10_000_000
    )
    keep_mb: int = setting(
        256,
        "what refused blocks and readings may take, in MB, over all partitions",
        low=1,
        high=1_048_576,
    )


@dataclass(frozen=True, kw_only=True)
class Results:
    expire_days: int = setting(
        400, "days that published results stay; 0: for ever", low=0, high=36_500
    )
    publish_ms: int = setting(
        100, "least time between two publications of a changed slot", low=1, high=60_000
    )
    log_mb: int = setting(
        64,
        "what the log of slots, an entry for each change of a slot, may take in MB; its oldest "
        "entries go",
        low=1,
        high=1_048_576,
    )


@dataclass(frozen=True, kw_only=True)
class Forecast:
    issue: tuple[str, ...] = setting(
        ("00:00", "12:00"),
        "local times, in event time, at which forecasts are issued: HH:MM",
        check=values.clock_times,
    )
    wait_minutes: int = setting(
        60,
        "how long an issue waits, in event time, for slots before it to close",
        low=0,
        high=720,
    )
    snapshot_s: float = setting(
        300.0, "seconds between two snapshots of the forecasters", low=0.1, high=86_400
    )


@dataclass(frozen=True, kw_only=True)
class Train:
    trainer: str = setting(
        "mgcv", "what fits the additive models", choices=("mgcv", "pygam", "statsmodels")
    )
    curves: tuple[str, ...] = setting(
        (),
        "CURVE=COLUMN of a file, or the store's curves; empty: the column load, or all tariffs",
        low=0,
    )
    temperature: str = setting("", "column of the temperature in °C; empty: no weather")
    weather: tuple[str, ...] = setting((), "other weather, as cloud=COLUMN or wind=COLUMN", low=0)
    country: str = setting("", "whose holidays count: FR, AU-VIC ...; empty: none")
    families: tuple[str, ...] = setting((), "families of models that are fitted; empty: all", low=0)
    patience_s: float = setting(
        300.0, "seconds without a fitted slot until a training is given up", low=1, high=86_400
    )


@dataclass(frozen=True, kw_only=True)
class Scores:
    enabled: bool = setting(
        False, "whether each meter's days are scored: frames are written, and the bolt runs"
    )
    log_mb: int = setting(
        2048,
        "what the log of segments may take in MB, over all partitions; its oldest entries go",
        low=1,
        high=1_048_576,
    )
    alarm_p: float = setting(
        0.001, "a closed day whose p-value is this or less raises an alarm", low=1e-9, high=0.05
    )
    alarms_mb: int = setting(
        64,
        "what the log of alarms may take in MB, over all partitions; its oldest entries go",
        low=1,
        high=1_048_576,
    )
    top: int = setting(20, "meters named in each region and tariff", low=1, high=200)
    expire_days: int = setting(
        30, "days that what is named of single meters stays after its last change", low=1, high=400
    )


@dataclass(frozen=True, kw_only=True)
class Engine:
    workers: int = setting(
        0,
        "tasks of the local engine that hold partitions, each a process; 0: one per core",
        low=0,
        high=1024,
    )
    topology: str = setting(
        "topologies.load_curves:LoadCurves",
        "the topology that is run, as module:Class",
        check=values.topology,
    )


@dataclass(frozen=True, kw_only=True)
class Serve:
    host: str = setting("127.0.0.1", "the address that page and API listen on")
    port: int = setting(
        8710, "the port that they listen on; 0: any that is free", low=0, high=65_535
    )
    certificate: str = setting("", "a PEM file: TLS is spoken", check=values.absolute_path)
    key: str = setting("", "its private key, a PEM file", check=values.absolute_path)
    insecure: bool = setting(
        False, "listen on other addresses than loopback without TLS, as a proxy in front speaks it"
    )
    names: tuple[str, ...] = setting(
        ("localhost", "127.0.0.1"), "host names that requests may be for, or *"
    )
    tokens: str = setting(
        "",
        "the file of tokens; empty: tokens.json in the data directory",
        check=values.absolute_path,
    )
    anonymous: str = setting(
        "auto",
        "the role of who has no token; auto: reader on loopback, else none",
        choices=("auto", "none", "reader", "analyst", "operator"),
    )
    per_second: float = setting(
        20.0, "requests of one token in a second, on average", low=0.01, high=1e6
    )
    burst: int = setting(200, "requests of one token at once", low=1, high=1_000_000)
    followers: int = setting(
        2000, "clients that may follow the changes at once", low=1, high=100_000
    )


@dataclass(frozen=True, kw_only=True)
class Privacy:
    group_size: int = setting(
        15,
        "meters that a curve needs to be shown to readers of the API; 1: any",
        low=1,
        high=1_000_000,
    )
    dominance: float = setting(
        0.15, "share of a curve's contracted power that one meter may have", low=0.001, high=1
    )


@dataclass(frozen=True, kw_only=True)
class Storm:
    name: str = setting(
        "wattstorm", "what the topology is called on a cluster", check=values.key_prefix
    )
    workers: int = setting(1, "worker JVMs of the topology", low=1, high=1024)
    spouts: int = setting(1, "tasks of each component that reads the log", low=1, high=1024)
    aggregates: int = setting(
        2,
        "tasks of each component that holds partitions, one core each; they share the partitions",
        low=1,
        high=4096,
    )
