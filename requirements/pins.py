"""Say where the environment that runs this differs from the pins.

    .venv/bin/python requirements/pins.py requirements.txt

Reads the named file and those it includes by `-r`. Prints each package that is
missing, of another version, or installed without a pin; each pin that stands
twice; ends with 1 if there was any, else 0.
"""

from __future__ import annotations

import sys
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# pip comes with the environment, wattstorm is what is being built.
UNPINNED = {"pip", "wheel", "wattstorm"}


def read_pins(path: Path) -> tuple[dict[str, str], list[str]]:
    """Pins that apply to this Python, name to version, and what is wrong with the files."""
    pins: dict[str, str] = {}
    wrong: list[str] = []
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        line = raw.split("#")[0].strip()
        if not line:
            continue
        if line.startswith("-r "):
            below, faults = read_pins(path.parent / line[3:].strip())
            wrong += faults + [f"{name}: pinned twice" for name in below.keys() & pins.keys()]
            pins |= below
            continue
        req = Requirement(line)
        name = canonicalize_name(req.name)
        spec = str(req.specifier)
        if not spec.startswith("==") or "," in spec or "*" in spec:
            wrong.append(f"{path}:{number}: {line} is not pinned with ==")
        if name in pins:
            wrong.append(f"{name}: pinned twice, again at {path}:{number}")
        if req.marker is None or req.marker.evaluate():
            pins[name] = spec.removeprefix("==")
    return pins, wrong


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        print("usage: pins.py REQUIREMENTS_FILE", file=sys.stderr)
        return 2
    pins, wrong = read_pins(Path(argv[1]))
    have: dict[str, str] = {
        canonicalize_name(d.metadata["Name"]): d.version for d in distributions()
    }
    for name, version in sorted(pins.items()):
        if name not in have:
            wrong.append(f"{name}: pinned {version}, not installed")
        elif have[name] != version:
            wrong.append(f"{name}: pinned {version}, installed {have[name]}")
    wrong += [
        f"{n}: installed {have[n]}, no pin" for n in sorted(have.keys() - pins.keys() - UNPINNED)
    ]
    for line in wrong:
        print(line)
    print(f"{len(pins)} pins in {argv[1]}, {len(wrong)} differences", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
