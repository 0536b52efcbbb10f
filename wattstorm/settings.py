"""Every setting of wattstorm: its type, default, limits, one line of meaning, and its origin.

    default  <  wattstorm.toml  <  environment  <  command-line option

The TOML file is `wattstorm.toml` in the working directory, or the one named by
`--config` or WATTSTORM_CONFIG; its tables are the sections below. A variable
WATTSTORM_SECTION_NAME sets one value (a list separated by commas); REDIS_URL
sets `store.url` unless WATTSTORM_STORE_URL does. The store's password may stand
in the file `store.password_file`, in the URL or in WATTSTORM_STORE_PASSWORD; it
never enters `to_conf`, which Storm stores and shows in clear.

>>> settings = Settings.load(environ={"WATTSTORM_STREAM_SLOT_MINUTES": "15"})
>>> settings.stream.slot_minutes, settings.origins["stream.slot_minutes"]
(15, 'environment WATTSTORM_STREAM_SLOT_MINUTES')
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from wattstorm import setting_values as values
from wattstorm.errors import UsageError
from wattstorm.setting_values import Limits, closest, mask_url, split_password

CONFIG_FILE = "wattstorm.toml"
SCOPES = ("nation", "tariff", "region")
ENV_PREFIX = "WATTSTORM_"
PASSWORD_VARIABLE = "WATTSTORM_STORE_PASSWORD"
# Variables with our prefix that are no setting.
OTHER_VARIABLES = frozenset({"WATTSTORM_CONFIG", PASSWORD_VARIABLE})


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
        "the Redis or Valkey to use: redis://, rediss:// (TLS) or unix://; empty: the embedded "
        "one. TLS takes files: ?ssl_ca_certs=…&ssl_certfile=…&ssl_keyfile=…",
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
        15, "how far ahead of the clock a slot may begin and still be taken", low=0, high=10_080
    )
    power_margin: float = setting(
        1.2, "a reading above contracted power × slot × this is refused", low=1.0, high=100.0
    )
    final_coverage: float = setting(
        0.99, "share of the expected meters from which a slot is final", low=0.0, high=1.0
    )
    deadline_hours: float = setting(
        24.0, "hours after its end at which a slot is final whatever its coverage", low=0, high=744
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


@dataclass(frozen=True, kw_only=True)
class Results:
    expire_days: int = setting(
        400, "days that published results stay; 0: for ever", low=0, high=36_500
    )
    publish_ms: int = setting(
        100, "time between two publications of a changed slot", low=1, high=60_000
    )


@dataclass(frozen=True, kw_only=True)
class Engine:
    workers: int = setting(0, "processes of the local engine; 0: one a core", low=0, high=1024)
    topology: str = setting(
        "topologies.load_curves:LoadCurves",
        "the topology that is run, as module:Class",
        check=values.topology,
    )


@dataclass(frozen=True, kw_only=True)
class Storm:
    name: str = setting(
        "wattstorm", "what the topology is called on a cluster", check=values.key_prefix
    )
    workers: int = setting(1, "worker JVMs of the topology", low=1, high=1024)
    spouts: int = setting(1, "tasks that read the log", low=1, high=1024)
    aggregates: int = setting(
        2, "tasks that check and sum, one core each; they share the partitions", low=1, high=4096
    )


class Row(NamedTuple):
    """One line of `wattstorm config show`; passwords in `value` are masked."""

    name: str
    value: str
    origin: str
    description: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All sections, and `origins`: "section.name" → where its value came from."""

    data: Data = field(default_factory=Data)
    store: Store = field(default_factory=Store)
    stream: Stream = field(default_factory=Stream)
    log: Log = field(default_factory=Log)
    batch: Batch = field(default_factory=Batch)
    snapshot: Snapshot = field(default_factory=Snapshot)
    dead_letters: DeadLetters = field(default_factory=DeadLetters)
    results: Results = field(default_factory=Results)
    engine: Engine = field(default_factory=Engine)
    storm: Storm = field(default_factory=Storm)
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def load(
        cls,
        config: str | Path | None = None,
        environ: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Settings:
        """Settings from all sources; `options` are "section.name" → value, None = not given."""
        environ = os.environ if environ is None else environ
        found = _from_toml(config, environ)
        found.update(_from_environment(environ))
        given = {name: value for name, value in (options or {}).items() if value is not None}
        found.update(_named(given, "command line"))
        return _build(found)

    @classmethod
    def from_conf(cls, conf: Mapping[str, Any]) -> Settings:
        """What `to_conf` gave, out of a topology's configuration; nothing else is read."""
        return _build(_named(_flat(conf, "topology"), "topology"))

    def to_conf(self) -> dict[str, dict[str, Any]]:
        """Plain JSON values by section, for Storm; without the password, see `secrets`."""
        conf: dict[str, dict[str, Any]] = {}
        for name, spec in _SPECS.items():
            section, _, key = name.partition(".")
            conf.setdefault(section, {})[key] = _plain(spec, self.get(name))
        return conf

    def secrets(self, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables that a worker started with `to_conf` needs in its environment."""
        environ = os.environ if environ is None else environ
        password = split_password(self.store.url)[1] or environ.get(PASSWORD_VARIABLE)
        return {PASSWORD_VARIABLE: password} if password else {}

    def replaced(self, changes: Mapping[str, Any], origin: str) -> Settings:
        """These settings with some "section.name" → value changed, checked like any other."""
        now = {name: (self.get(name), self.origins.get(name, "default")) for name in _SPECS}
        return _build(now | _named(changes, origin))

    def get(self, name: str) -> Any:
        section, _, key = name.partition(".")
        return getattr(getattr(self, section), key)

    def rows(self) -> list[Row]:
        """Every setting in order of its section, as shown to a person."""
        return [
            Row(
                name,
                values.shown(mask_url(self.get(name)) if _secret(spec) else self.get(name)),
                self.origins.get(name, "default"),
                spec.metadata["description"],
            )
            for name, spec in _SPECS.items()
        ]


_SECTIONS: dict[str, type] = {
    "data": Data,
    "store": Store,
    "stream": Stream,
    "log": Log,
    "batch": Batch,
    "snapshot": Snapshot,
    "dead_letters": DeadLetters,
    "results": Results,
    "engine": Engine,
    "storm": Storm,
}
# "section.name" → its dataclass field (`type` is text: annotations are not evaluated).
_SPECS: dict[str, Field[Any]] = {
    f"{section}.{spec.name}": spec for section, kind in _SECTIONS.items() for spec in fields(kind)
}
_VARIABLES = {ENV_PREFIX + name.replace(".", "_").upper(): name for name in _SPECS}

# "section.name" → (value as found, origin)
_Found = dict[str, tuple[Any, str]]


def _secret(spec: Field[Any]) -> bool:
    return bool(spec.metadata["limits"].secret)


def _plain(spec: Field[Any], value: Any) -> Any:
    if _secret(spec):
        return split_password(value)[0]
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _named(found: Mapping[str, Any], origin: str) -> _Found:
    for name in found:
        if name not in _SPECS:
            raise UsageError(f"{origin}: no setting is called {name}", closest(name, _SPECS))
    return {name: (value, origin) for name, value in found.items()}


def _flat(tables: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Tables of values → "section.name" → value; what is no known table is refused."""
    found: dict[str, Any] = {}
    for section, table in tables.items():
        if section not in _SECTIONS:
            raise UsageError(
                f"{origin}: no section is called {section}", closest(section, _SECTIONS)
            )
        if not isinstance(table, Mapping):
            raise UsageError(
                f"{origin}: {section} = {table!r} is a value", f"{section} is a table: [{section}]"
            )
        found.update({f"{section}.{key}": value for key, value in table.items()})
    return found


def _from_toml(config: str | Path | None, environ: Mapping[str, str]) -> _Found:
    named = config or environ.get("WATTSTORM_CONFIG")
    path = Path(named or CONFIG_FILE).expanduser().absolute()
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if named:
            raise UsageError(
                f"there is no configuration file {path}", "check --config and WATTSTORM_CONFIG"
            ) from None
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read as TOML: {error}") from error
    found = _flat(tables, str(path))
    directory = found.get("data.directory")
    if isinstance(directory, str):
        # Relative to the file that says it, so that every command means the same place.
        found["data.directory"] = str(path.parent / Path(directory).expanduser())
    return _named(found, str(path))


def _from_environment(environ: Mapping[str, str]) -> _Found:
    found: _Found = {}
    if environ.get("REDIS_URL"):
        found["store.url"] = (environ["REDIS_URL"], "environment REDIS_URL")
    sections = tuple(f"{ENV_PREFIX}{section.upper()}_" for section in _SECTIONS)
    for variable, text in environ.items():
        name = _VARIABLES.get(variable)
        if name is not None:
            value = values.parse(str(_SPECS[name].type), text, f"environment {variable}")
            found[name] = (value, f"environment {variable}")
        elif variable in OTHER_VARIABLES or not variable.startswith(ENV_PREFIX):
            continue
        elif variable.startswith(sections) or closest(variable, _VARIABLES, cutoff=0.85):
            raise UsageError(
                f"no setting belongs to the environment variable {variable}",
                closest(variable, _VARIABLES) or "unset it",
            )
    return found


def _default(spec: Field[Any]) -> Any:
    return spec.default if spec.default_factory is MISSING else spec.default_factory()


def _build(found: _Found) -> Settings:
    sections: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}
    origins = {}
    for name, spec in _SPECS.items():
        value, origin = found.get(name) or (_default(spec), "default")
        section, _, key = name.partition(".")
        where = name if origin == "default" else f"{name} ({origin})"
        sections[section][key] = values.checked(
            str(spec.type), value, spec.metadata["limits"], where
        )
        origins[name] = origin
    built = {section: kind(**sections[section]) for section, kind in _SECTIONS.items()}
    return Settings(**built, origins=origins)
