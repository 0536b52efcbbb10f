"""The command line that all benchmarks share."""

from __future__ import annotations

import argparse


def parse(doc: str | None, **options: int | float | str) -> argparse.Namespace:
    """`--json`, and one option with its default for each keyword."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    for name, default in options.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    return parser.parse_args()
