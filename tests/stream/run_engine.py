"""The local engine as a process of its own: directory, url, workers, drain, topology, options."""

from __future__ import annotations

import sys
from pathlib import Path

from wattstorm.engine.supervisor import Engine
from wattstorm.settings import Settings


def main() -> None:
    directory, url, workers, drain, module, *pairs = sys.argv[1:]
    environ = {}
    for pair in pairs:  # as text, which the environment's is
        name, _, value = pair.partition("=")
        environ[f"WATTSTORM_{name.replace('.', '_').upper()}"] = value
    options = {"data.directory": Path(directory), "store.url": url}
    settings = Settings.load(environ=environ, options=options)
    topology = module or settings.engine.topology
    Engine(settings, url, topology=topology, workers=int(workers)).run(drain=drain == "1")


if __name__ == "__main__":
    main()
