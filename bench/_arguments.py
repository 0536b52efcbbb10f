"""The command line that all benchmarks share."""

from __future__ import annotations

import argparse


def parse(doc: str | None, **options: int | float | str) -> argparse.Namespace:
    """`--json`, and one option with its default for each keyword; False makes it a flag."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    for name, default in options.items():
        option = f"--{name.replace('_', '-')}"
        if default is False:
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, type=type(default), default=default)
    return parser.parse_args()
