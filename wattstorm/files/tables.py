"""Files of rows, whatever they are written as → one kind of table, for readings and registers.

Parquet, CSV and its kin (any separator, UTF-8, UTF-16 or Windows-1252, gzip), Excel, standard
input ("-"), directories and quoted globs. polars and calamine read; here stands only what they
have to be told, and what they would pass over in silence: cells beyond the header.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from wattstorm.errors import IngestError, UsageError

PARQUET: Final = (".parquet", ".pq")
TEXT: Final = (".csv", ".txt", ".tsv")
EXCEL: Final = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
SEPARATORS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
STDIN: Final = Path("-")
BEYOND: Final = "cells beyond the header"
"""Column of a table out of text: what stands to the right of the last named column, or null."""
_HEAD_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Form:
    """How a table of text is written; "": found out by looking at its first megabyte."""

    separator: str = ""
    encoding: str = ""


@dataclass(frozen=True)
class Table:
    """A file's columns, unread. first_line: the line that row 1 stands on (0: no text file)."""

    path: Path
    frame: pl.LazyFrame
    schema: dict[str, Any] = field(default_factory=dict)
    first_line: int = 0

    @property
    def names(self) -> list[str]:
        return list(self.schema)


def expanded(paths: Sequence[Path]) -> list[Path]:
    """The files that are meant: those of directories and of quoted globs by name, in order."""
    found: list[Path] = []
    for path in paths:
        if path == STDIN or path.is_file():
            found.append(path)
            continue
        pattern = any(c in str(path) for c in "*?[")
        root = Path(path.anchor) if path.is_absolute() else Path()
        inside = (
            path.iterdir()
            if path.is_dir()
            else root.glob(str(path.relative_to(root)))
            if pattern
            else ()
        )
        files = sorted(p for p in inside if p.is_file() and (pattern or _kind(p)))
        if not files:
            there = "holds no file that can be read" if path.is_dir() else "is not there"
            raise UsageError(f"{path} {there}", f"files end in {_endings()}")
        found += files
    return found


def is_table(path: Path) -> bool:
    """Whether a file's ending is that of a table."""
    return bool(_kind(path))


def open_table(path: Path, form: Form = Form()) -> Table | None:
    """The file as a table; None where it has no byte. IngestError where it is no table."""
    try:
        if path != STDIN and not path.stat().st_size:
            return None
        kind = "text" if path == STDIN else _kind(path)
        if kind == "parquet":
            frame = pl.scan_parquet(path)
            return Table(path, frame, dict(frame.collect_schema()))
        if kind == "excel":
            return _sheet(path)
        if kind == "text":
            return _text(path, form)
    except (pl.exceptions.PolarsError, OSError, UnicodeError, csv.Error) as error:
        raise unreadable(path, error) from error
    raise IngestError(f"{path} is of no kind that is read", f"files end in {_endings()}")


def unreadable(path: Path, error: Exception) -> IngestError:
    why = str(error).splitlines()[0] if str(error) else type(error).__name__
    return IngestError(f"{path} cannot be read: {why}", "is it whole, and what its ending says?")


def _kind(path: Path) -> str:
    endings = [suffix.lower() for suffix in path.suffixes[-2:]]
    ending = endings[-2] if endings[-1:] == [".gz"] and len(endings) == 2 else "".join(endings[-1:])
    for kind, known in (("parquet", PARQUET), ("text", TEXT), ("excel", EXCEL)):
        if ending in known:
            return kind
    return ""


def _endings() -> str:
    return ", ".join((*PARQUET, *TEXT, *(f"{ending}.gz" for ending in TEXT[:2]), *EXCEL[:1]))


def _sheet(path: Path) -> Table:
    try:
        sheet = pl.read_excel(path, engine="calamine")
    except ModuleNotFoundError:
        raise UsageError(
            f"{path} is a workbook, and fastexcel is not installed",
            "pip install -r requirements/run.txt, or save the sheet as CSV",
        ) from None
    except Exception as error:
        if not type(error).__module__.startswith(("fastexcel", "_fastexcel")):
            raise
        raise unreadable(path, error) from error
    return Table(path, sheet.lazy(), dict(sheet.schema))


def _text(path: Path, form: Form) -> Table | None:
    """As text throughout, so that a bad cell costs its row and not the file."""
    source: Any = path
    whole = sys.stdin.buffer.read() if path == STDIN else None
    head = _head(path) if whole is None else whole[:_HEAD_BYTES]
    encoding = form.encoding or _encoding(head)
    if encoding != "utf-8":
        source = _decoded(path, whole, encoding)
        head = source[:_HEAD_BYTES]
    elif whole is not None:
        source = whole
    if not head.strip():
        return None
    names, separator, lines = _header(path, head, form.separator)
    frame = pl.scan_csv(
        source,
        has_header=False,
        skip_lines=lines,
        schema=dict.fromkeys((*names, BEYOND), pl.String),
        missing_columns="insert",
        extra_columns="ignore",
        truncate_ragged_lines=True,
        separator=separator,
        encoding="utf8-lossy",
    )
    return Table(path, frame, dict.fromkeys(names, pl.String()), lines + 1)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as file:
        return bytes(file.read(_HEAD_BYTES))


def _encoding(head: bytes) -> str:
    """UTF-16 by its mark or its zeros, UTF-8 where it decodes, else what Windows writes."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = head[:400:2].count(0), head[1:400:2].count(0)
    if max(even, odd) > 50:
        return "utf-16-le" if odd > even else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _decoded(path: Path, whole: bytes | None, encoding: str) -> bytes:
    """The file as UTF-8, in memory."""
    try:
        if whole is None:
            packed = path.read_bytes()
            whole = gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed
        return whole.decode(encoding, "replace").encode()
    except LookupError:
        raise UsageError(
            f"encoding {encoding!r}", "it may be utf-8, utf-16, latin-1, cp1252 and the like"
        ) from None


def _header(path: Path, head: bytes, separator: str) -> tuple[list[str], str, int]:
    """(names of the columns, separator, lines up to the first row)."""
    text = head.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = text.splitlines()
    skipped = next((i for i, line in enumerate(lines) if line.strip()), 0)
    line = lines[skipped]
    separator = {"tab": "\t", "\\t": "\t"}.get(separator, separator)
    if not separator:
        separator = max(SEPARATORS, key=lambda s: len(next(csv.reader([line], delimiter=s))))
    elif len(separator) != 1:
        raise UsageError(f"separator {separator!r}", "it is one character, or tab")
    names = [name.strip() for name in next(csv.reader([line], delimiter=separator))]
    while names and not names[-1]:
        names.pop()  # a separator at the end of each line
    names = [name or f"column {i}" for i, name in enumerate(names, 1)]
    if again := [name for i, name in enumerate(names) if name in names[:i]]:
        raise IngestError(f"{path} has two columns called {again[0]!r}", "rename one of them")
    return names, separator, skipped + 1
