"""Every setting of wattstorm, its value and its origin; `setting_sections` says what they are.

    default  <  wattstorm.toml  <  environment  <  command-line option

The TOML file is `wattstorm.toml` in the working directory, or the one named by
`--config` or WATTSTORM_CONFIG; its tables are the sections. A variable
WATTSTORM_SECTION_NAME sets one value (a list separated by commas); REDIS_URL
sets `store.url` unless WATTSTORM_STORE_URL does. The store's password may stand
in the file `store.password_file`, in the URL or in WATTSTORM_STORE_PASSWORD; it
never enters `to_conf`, which Storm stores and shows in clear. TLS takes its files
from the URL: rediss://…?ssl_ca_certs=…&ssl_certfile=…&ssl_keyfile=….

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
from typing import Any, NamedTuple, get_type_hints

from wattstorm import setting_values as values
from wattstorm.errors import UsageError
from wattstorm.setting_sections import (
    Batch,
    Data,
    DeadLetters,
    Engine,
    Forecast,
    Log,
    Privacy,
    Results,
    Scores,
    Serve,
    Snapshot,
    Store,
    Storm,
    Stream,
    Train,
)
from wattstorm.setting_values import closest, mask_url, split_password

CONFIG_FILE = "wattstorm.toml"
ENV_PREFIX = "WATTSTORM_"
PASSWORD_VARIABLE = "WATTSTORM_STORE_PASSWORD"
# Variables with our prefix that are no setting.
OTHER_VARIABLES = frozenset({"WATTSTORM_CONFIG", "WATTSTORM_LOG", PASSWORD_VARIABLE})


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
    scores: Scores = field(default_factory=Scores)
    forecast: Forecast = field(default_factory=Forecast)
    train: Train = field(default_factory=Train)
    engine: Engine = field(default_factory=Engine)
    serve: Serve = field(default_factory=Serve)
    privacy: Privacy = field(default_factory=Privacy)
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


# table of wattstorm.toml → the class of its settings
SECTIONS: dict[str, type] = {
    name: kind for name, kind in get_type_hints(Settings).items() if name != "origins"
}
# "section.name" → its dataclass field, and its type
_SPECS: dict[str, Field[Any]] = {
    f"{section}.{spec.name}": spec for section, kind in SECTIONS.items() for spec in fields(kind)
}
_TYPES = {
    f"{section}.{name}": kind
    for section, cls in SECTIONS.items()
    for name, kind in get_type_hints(cls).items()
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
        if section not in SECTIONS:
            raise UsageError(
                f"{origin}: no section is called {section}", closest(section, SECTIONS)
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
    sections = tuple(f"{ENV_PREFIX}{section.upper()}_" for section in SECTIONS)
    for variable, text in environ.items():
        name = _VARIABLES.get(variable)
        if name is not None:
            value = values.parse(_TYPES[name], text, f"environment {variable}")
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
    sections: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    origins = {}
    for name, spec in _SPECS.items():
        value, origin = found.get(name) or (_default(spec), "default")
        section, _, key = name.partition(".")
        where = name if origin == "default" else f"{name} ({origin})"
        sections[section][key] = values.checked(_TYPES[name], value, spec.metadata["limits"], where)
        origins[name] = origin
    built = {section: kind(**sections[section]) for section, kind in SECTIONS.items()}
    return Settings(**built, origins=origins)
