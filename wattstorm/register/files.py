"""A register's directory: one folder of arrays a version, and the card that names it.

    DIRECTORY/card.json          which version counts, and what it must look like
    DIRECTORY/version-000002/    ids.npy, index.npy, entries.npy, ... and its own card.json
    DIRECTORY/lock               held by the one process that builds

A version is written beside the old one, made durable, and counts from the moment
its card is renamed over the old card: a crash before leaves the old register, a
crash after the new one. Arrays that did not change are hard links. Old versions stay:
a stream that is replayed needs the one that was in force, see `prune`.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
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
from wattstorm.register.arrays import DTYPES, LATER, MAX_CODES, Arrays
from wattstorm.register.idindex import places_for

SCHEMA: Final = 3
READ: Final = (1, 2, 3)
"""1: without `classes`, see `classes.of_card`; 2: without `arrays.LATER`."""
CARD: Final = "card.json"
SMALL_BYTES: Final = 4_000_000
"""Files up to this size are checksummed at every opening, larger ones by `verify`."""
KEPT_S: Final = 7 * 86_400
"""How long a version stays at least after the next one was built."""
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


def load(directory: Path, version: int | None = None) -> tuple[Card, Arrays]:
    """The card and the arrays of a version (None: the newest), mapped read-only; RegisterError
    for anything damaged, or not here."""
    card = read_card(directory)
    if version not in (None, card["version"]):
        card = _card_of(directory, version or 0, card["version"])
    try:
        return card, _arrays(directory / card["data"], card)
    except FileNotFoundError as error:
        raise RegisterError(f"{error.filename} is missing", _REBUILD) from error


def _card_of(directory: Path, version: int, newest: int) -> Card:
    path = directory / folder_of(version) / CARD
    if not path.exists():
        raise RegisterError(
            f"{directory} has no register version {version}; its newest is {newest}",
            "copy the register's directory from where that version was built",
        )
    return _card(path)


def folder_of(version: int) -> str:
    return f"version-{version:06d}"


def read_card(directory: Path) -> Card:
    if not (directory / CARD).exists():
        raise RegisterError(f"{directory} holds no register", "make one: wattstorm register build")
    return _card(directory / CARD)


def _card(path: Path) -> Card:
    try:
        card = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RegisterError(f"{path} cannot be read: {error}", _REBUILD) from error
    if not isinstance(card, dict) or card.get("kind") != "wattstorm register":
        raise RegisterError(f"{path} is no card of a register", _REBUILD)
    if card.get("schema") not in READ:
        raise RegisterError(
            f"{path} has schema {card.get('schema')!r}, this wattstorm reads {READ}",
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
    name = folder_of(card["version"])
    try:
        if known and not (before := directory / known[0]["data"] / CARD).exists():
            _put_card(before, known[0])  # of a register that kept no old versions yet
        beside = directory / f".building-{name}"
        beside.mkdir(mode=0o700)
        files = {
            field: _put(directory, beside / f"{field}.npy", getattr(arrays, field), field, known)
            for field in DTYPES
        }
        whole = {"kind": "wattstorm register", "schema": SCHEMA, **card}
        whole |= {"data": name, "files": files}
        whole["checksum"] = _card_checksum(whole)
        _put_card(beside / CARD, whole)
        beside.rename(directory / name)
        _sync(directory)  # the card must not come back from a power cut without its arrays
        _put_card(directory / CARD, whole)
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
    if known and field in known[0]["files"] and getattr(known[1], field) is array:
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


def _put_card(path: Path, card: Card) -> None:
    """Under its name once it is on disk."""
    fresh = path.with_name(f".{CARD}")
    with open_private(fresh, "w", encoding="utf-8") as file:
        file.write(json.dumps(card, indent=1, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync(path.parent)


def _card_checksum(card: Card) -> str:
    """SHA-256 of all other fields: one check instead of one a field."""
    rest = {name: value for name, value in card.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _arrays(folder: Path, card: Card) -> Arrays:
    arrays = {}
    for name, dtype in DTYPES.items():
        if name in LATER and card["schema"] < SCHEMA:
            arrays[name] = np.zeros(0, dtype)
            continue
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
    expected_lengths |= dict.fromkeys(LATER, card.get("named", 0))
    if wrong := [name for name, n in expected_lengths.items() if lengths[name] != n]:
        raise RegisterError(
            f"{folder}: {wrong[0]} has {lengths[wrong[0]]} rows, its card says"
            f" {expected_lengths[wrong[0]]}",
            _REBUILD,
        )
    return Arrays(**arrays)


def sweep(directory: Path, newest: int) -> None:
    """Remove what builds left behind that did not come to their end."""
    for path in directory.glob(".building-version-*"):
        shutil.rmtree(path, ignore_errors=True)
    for version, path in _folders(directory):
        if version > newest:
            shutil.rmtree(path, ignore_errors=True)


def prune(directory: Path, needed: int, now_s: float) -> list[int]:
    """Remove the versions before `needed` that were replaced more than KEPT_S ago; which ones.

    now_s: seconds since the epoch. A store that comes back from a backup may need one that its
    newest state does not.
    """
    gone = []
    folders = _folders(directory)
    for (version, path), (_, later) in itertools.pairwise(folders):
        if version < needed and now_s - later.stat().st_mtime > KEPT_S:
            shutil.rmtree(path, ignore_errors=True)
            gone.append(version)
    return gone


def _folders(directory: Path) -> list[tuple[int, Path]]:
    """Versions with a folder, ascending."""
    found = [(path.name.removeprefix("version-"), path) for path in directory.glob("version-*")]
    return sorted((int(number), path) for number, path in found if number.isdecimal())


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
