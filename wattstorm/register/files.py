"""A register's directory: one folder of arrays a version, and the card that names it.

    DIRECTORY/card.json          which version counts, and what it must look like
    DIRECTORY/version-000002/    ids.npy, index.npy, entries.npy, ...
    DIRECTORY/lock               held by the one process that builds

A version is written beside the old one, made durable, and counts from the moment
its card is renamed over the old card: a crash before leaves the old register, a
crash after the new one. Arrays that did not change are hard links. Processes that
mapped the old version keep it: its files go when the last of them lets go.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wattstorm.errors import RegisterError
from wattstorm.private_files import make_private, open_private
from wattstorm.register.arrays import DTYPES, MAX_CODES, Arrays
from wattstorm.register.idindex import places_for

SCHEMA: Final = 1
CARD: Final = "card.json"
SMALL_BYTES: Final = 4_000_000
"""Files up to this size are checksummed at every opening, larger ones by `verify`."""
_REBUILD = "build the register again from its source files, in an empty directory"
_BY_METER: Final = ("ids", "entries", "first_days", "last_days")

Card = dict[str, Any]


@contextmanager
def building(directory: Path) -> Iterator[None]:
    """Hold the directory for one build; another one at the same time is refused."""
    try:
        make_private(directory)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unwritable(directory, error) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RegisterError(
                f"{directory} is being built by another process", "wait for it, then try again"
            ) from None
        yield
    finally:
        os.close(lock)


def exists(directory: Path) -> bool:
    """Is there a register to extend? One that lost its card is refused, not overwritten."""
    if (directory / CARD).exists():
        return True
    later = [p for p in directory.glob("version-*") if p.name != "version-000001"]
    if later:  # version 1 without a card is a first build that was cut short
        raise RegisterError(
            f"{directory / CARD} is missing beside {later[0].name}",
            "bring it back from a backup, or " + _REBUILD,
        )
    return False


def load(directory: Path) -> tuple[Card, Arrays]:
    """The card and the arrays, mapped read-only; RegisterError for anything damaged."""
    card = read_card(directory)
    while True:
        try:
            return card, _arrays(directory / card["data"], card)
        except FileNotFoundError as error:
            # A build may have replaced the version after the card was read.
            newer = read_card(directory)
            if newer["version"] == card["version"]:
                raise RegisterError(f"{error.filename} is missing", _REBUILD) from error
            card = newer


def read_card(directory: Path) -> Card:
    path = directory / CARD
    try:
        card = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise RegisterError(
            f"{directory} holds no register", "make one: wattstorm register build"
        ) from None
    except (OSError, ValueError) as error:
        raise RegisterError(f"{path} cannot be read: {error}", _REBUILD) from error
    if not isinstance(card, dict) or card.get("kind") != "wattstorm register":
        raise RegisterError(f"{path} is no card of a register", _REBUILD)
    if card.get("schema") != SCHEMA:
        raise RegisterError(
            f"{path} has schema {card.get('schema')!r}, this wattstorm reads {SCHEMA}",
            "use the wattstorm that wrote it, or " + _REBUILD,
        )
    if card.get("checksum") != _card_checksum(card):
        raise RegisterError(f"{path} is damaged or was edited by hand", _REBUILD)
    for column in ("tariffs", "regions"):
        if (names := len(card[column])) > MAX_CODES:
            raise RegisterError(
                f"{path} has {names} {column}, the stream takes {MAX_CODES}",
                f"group them into fewer {column}, and " + _REBUILD,
            )
    return card


def write(directory: Path, card: Card, arrays: Arrays, known: tuple[Card, Arrays] | None) -> None:
    """Make `arrays` the directory's register. `card` comes without `data` and `files`.

    known: the version it extends; its files are shared where the array is the same object.
    """
    name = f"version-{card['version']:06d}"
    try:
        beside = directory / f".building-{name}"
        beside.mkdir(mode=0o700)
        files = {
            field: _put(directory, beside / f"{field}.npy", getattr(arrays, field), field, known)
            for field in DTYPES
        }
        _sync(beside)
        beside.rename(directory / name)
        _sync(directory)  # the card must not come back from a power cut without its arrays
        whole = {"kind": "wattstorm register", "schema": SCHEMA, **card}
        whole |= {"data": name, "files": files}
        whole["checksum"] = _card_checksum(whole)
        text = json.dumps(whole, indent=1, ensure_ascii=False)
        fresh = directory / f".{CARD}"
        with open_private(fresh, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(directory / CARD)
        _sync(directory)
        sweep(directory, name)
    except OSError as error:
        raise _unwritable(directory, error) from error


def verify(directory: Path, card: Card) -> None:
    """Compare all files with the card's SHA-256, about a second per GB."""
    for name, expected in card["files"].items():
        path = directory / card["data"] / f"{name}.npy"
        if _sha256(path) != expected["sha256"]:
            raise RegisterError(f"{path} has not the checksum its card names", _REBUILD)


def _put(
    directory: Path,
    path: Path,
    array: npt.NDArray[Any],
    field: str,
    known: tuple[Card, Arrays] | None,
) -> dict[str, Any]:
    """Write or link one array; what the card says of it."""
    if known and getattr(known[1], field) is array:
        try:
            os.link(directory / known[0]["data"] / path.name, path)
            path.chmod(0o600)
            shared: dict[str, Any] = known[0]["files"][field]
            return shared
        except OSError:
            pass  # a file system without links: write it once more
    with open_private(path) as file:
        np.save(file, array.astype(DTYPES[field], copy=False), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": path.stat().st_size, "sha256": _sha256(path)}


def _card_checksum(card: Card) -> str:
    """SHA-256 of all other fields: one check instead of one a field."""
    rest = {name: value for name, value in card.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _arrays(folder: Path, card: Card) -> Arrays:
    arrays = {}
    for name, dtype in DTYPES.items():
        path = folder / f"{name}.npy"
        expected = card["files"].get(name)
        if not isinstance(expected, dict) or path.stat().st_size != expected.get("bytes"):
            raise RegisterError(
                f"{path} has {path.stat().st_size} bytes, its card says {expected}", _REBUILD
            )
        small = expected["bytes"] <= SMALL_BYTES
        if small and _sha256(path) != expected.get("sha256"):
            raise RegisterError(f"{path} has not the checksum its card names", _REBUILD)
        try:
            mapped = np.load(path, mmap_mode=None if small else "r", allow_pickle=False)
        except ValueError as error:
            raise RegisterError(f"{path} is no array: {error}", _REBUILD) from error
        if mapped.dtype != dtype or mapped.ndim != 1:
            raise RegisterError(
                f"{path} is {mapped.dtype}[{mapped.ndim} axes], expected {dtype}[1]", _REBUILD
            )
        arrays[name] = np.asarray(mapped)  # the kernels know plain arrays only
        arrays[name].flags.writeable = False
    lengths = {name: len(array) for name, array in arrays.items()}
    expected_lengths = dict.fromkeys(_BY_METER, card["meters"])
    expected_lengths["index"] = places_for(card["meters"])
    expected_lengths |= dict.fromkeys(("change_keys", "change_entries"), card["changes"])
    if wrong := [name for name, n in expected_lengths.items() if lengths[name] != n]:
        raise RegisterError(
            f"{folder}: {wrong[0]} has {lengths[wrong[0]]} rows, its card says"
            f" {expected_lengths[wrong[0]]}",
            _REBUILD,
        )
    return Arrays(**arrays)


def sweep(directory: Path, keep: str) -> None:
    """Remove what interrupted builds and older versions left behind."""
    for path in directory.iterdir():
        ours = path.name.startswith((".building-version-", "version-"))
        if ours and path.name != keep and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    """Make renames and new names inside the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unwritable(directory: Path, error: OSError) -> RegisterError:
    return RegisterError(
        f"{directory} cannot be written: {error.strerror or error}",
        "free some space or correct its permissions; a register that was there is unchanged",
    )
