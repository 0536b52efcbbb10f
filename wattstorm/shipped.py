"""What of this code travels to Storm's workers, and the digest by which they know it.

The packages of a worker's own environment come before the shipped ones on sys.path: another
wattstorm installed there would win, unseen. So the topology's configuration carries the digest
of the code submitted, and each task compares it with what it has imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from wattstorm.errors import ClusterError, EngineError

PACKAGES = ("bolts", "models", "spouts", "wattstorm")
SHIPPED = (".py", ".lua")
LEFT_OUT = ("wattstorm/cli/", "wattstorm/cluster/", "wattstorm/engine/", "wattstorm/sample/")
"""No task needs them."""


def shipped_files() -> Iterator[tuple[str, Path]]:
    """(name below resources/, file) of all that tasks import, in order of name."""
    for package in PACKAGES:
        root = _root_of(package)
        for path in sorted(root.rglob("*")):
            name = f"{package}/{path.relative_to(root).as_posix()}"
            if path.suffix in SHIPPED and not name.startswith(LEFT_OUT):
                yield name, path


def check_neighbours() -> None:
    """ClusterError unless the packages that belong together lie in one directory.

    Their names are common ones: another `bolts` that comes first on the path would be shipped.
    """
    home = Path(__file__).parents[1]
    for package in (*PACKAGES, "topologies"):
        found = _root_of(package)
        if found.resolve() != (home / package).resolve():
            raise ClusterError(
                f"{package} comes from {found}, wattstorm from {home}: another package of this name"
                " comes first",
                "take it off PYTHONPATH, or submit from an environment with wattstorm alone",
            )


def _root_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ClusterError(f"there is no package {package}", "install wattstorm again")
    return Path(spec.submodule_search_locations[0])


@cache
def code_digest() -> str:
    """SHA-256 over names and contents of what would be, or was, shipped; 16 hex digits of it."""
    digest = hashlib.sha256()
    for name, path in shipped_files():
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def check_code(conf: Mapping[str, Any]) -> None:
    """EngineError if this process imported other code than was submitted with `conf`."""
    wanted = conf.get("wattstorm.code")
    if wanted is not None and wanted != code_digest():
        raise EngineError(
            f"this worker imports wattstorm {code_digest()} from {Path(__file__).parent}, "
            f"the topology was submitted with {wanted}",
            "install the same wattstorm there, or none: it comes with the topology",
        )
