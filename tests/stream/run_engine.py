"""The local engine as a process of its own: directory, url, workers, drain, topology, options."""

from __future__ import annotations

import sys
from pathlib import Path

from wattstorm.engine.supervisor import Engine
from wattstorm.settings import Settings


def main() -> None:
    directory, url, workers, drain, module, *pairs = sys.argv[1:]
    options: dict[str, object] = {"data.directory": Path(directory), "store.url": url}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if value[0].isalpha():
            options[name] = value.split(",")
        else:
            options[name] = float(value) if "." in value else int(value)
    settings = Settings.load(environ={}, options=options)
    topology = module or settings.engine.topology
    Engine(settings, url, topology=topology, workers=int(workers)).run(drain=drain == "1")


if __name__ == "__main__":
    main()
