"""The environments of config.json, streamparse's file: where Nimbus is, and what Python to use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wattstorm.cluster.development import HOST, NIMBUS_PORT, find
from wattstorm.cluster.home import cache_directory
from wattstorm.cluster.nimbus import DEFAULT_PORT
from wattstorm.errors import UsageError
from wattstorm.setting_values import closest

LOCAL = "local"
"""The development cluster of this machine; needs no config.json."""


def default_cluster() -> Path:
    """Where `wattstorm storm up` keeps its cluster."""
    return cache_directory() / "storm-cluster"


@dataclass(frozen=True)
class Environment:
    """One of config.json's "envs"."""

    name: str
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nimbus(self) -> tuple[str, int]:
        host, _, port = str(self.config["nimbus"]).partition(":")
        try:
            return host, int(port or DEFAULT_PORT)
        except ValueError:
            raise UsageError(
                f'environment {self.name}: "nimbus" is {self.config["nimbus"]!r}',
                "it must be HOST or HOST:PORT",
            ) from None

    @property
    def python(self) -> str:
        """Where the workers' streamparse_run is, as far as the environment says."""
        if not self.config.get("use_virtualenv", True):
            return "streamparse_run on the PATH of the supervisors"
        root, name = self.config.get("virtualenv_root"), self.config.get("virtualenv_name")
        return f"{root}/{name}/bin/streamparse_run"

    def for_streamparse(self) -> dict[str, Any]:
        return {"user": "", "workers": [], "log": {}, "use_ssh_for_nimbus": False, **self.config}


def environment(name: str, project: Path) -> Environment:
    """The environment `name` of `project`/config.json; UsageError if it is not there."""
    path = project / "config.json"
    try:
        found = json.loads(path.read_text("utf-8"))["envs"]
    except FileNotFoundError:
        found = {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is no streamparse configuration: {error!r}") from error
    if name in found:
        config = dict(found[name])
        if not config.get("nimbus"):
            raise UsageError(f'environment {name} of {path} has no "nimbus"', "HOST:PORT")
        return Environment(name, config)
    if name == LOCAL:
        cluster = find(default_cluster())
        nimbus = cluster.nimbus if cluster else f"{HOST}:{NIMBUS_PORT}"
        return Environment(LOCAL, {"nimbus": nimbus, "use_virtualenv": False})
    raise UsageError(
        f"there is no environment {name!r} in {path}",
        closest(name, [*found, LOCAL]) or f"there are {', '.join([*found, LOCAL])}",
    )
