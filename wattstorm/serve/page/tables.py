"""Tables and names as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def plain(name: str) -> str:
    """A scope's name as words.

    >>> plain("base_6"), plain("auvergne_rhone_alpes")
    ('base 6', 'auvergne rhone alpes')
    """
    return name.replace("_", " ")


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    raw: bool = False,
) -> str:
    """A table whose first column are headers; ">" before a name: figures. raw: cells are HTML.

    >>> table("Two", ("a", ">b"), [("x", "1")]).count("<td")
    1
    """
    names = [name.removeprefix(">") for name in columns]
    right = [' class="figure"' if name.startswith(">") else "" for name in columns]
    head = "".join(
        f'<th scope="col"{side}>{escape(name)}</th>'
        for name, side in zip(names, right, strict=True)
    )
    body = []
    for row in rows:
        cells = row if raw else [escape(cell) for cell in row]
        rest = "".join(
            f"<td{side}>{cell}</td>" for cell, side in zip(cells[1:], right[1:], strict=True)
        )
        body.append(f'<tr><th scope="row">{cells[0]}</th>{rest}</tr>')
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
