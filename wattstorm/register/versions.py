"""The versions of one register, opened once each: which one is in force, the log says."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from wattstorm.errors import DataError, RegisterError
from wattstorm.register.register import Register


class Version(NamedTuple):
    """What names a version in logs, fences and snapshots: its number, and what it holds.

    >>> Version.parse(str(Version(3, "ab12")))
    Version(number=3, checksum='ab12')
    """

    number: int
    checksum: str

    @classmethod
    def of(cls, register: Register) -> Version:
        return cls(register.version, register.checksum)

    @classmethod
    def parse(cls, text: str) -> Version:
        number, _, checksum = text.partition(" ")
        if not number.isdecimal() or not checksum:
            raise DataError(f"{text!r} names no register version", "no wattstorm wrote it")
        return cls(int(number), checksum)

    def __str__(self) -> str:
        return f"{self.number} {self.checksum}"


class Versions:
    """The register in `directory`, whose versions are opened when they are asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory)
        self._opened: dict[int, Register] = {}

    def newest(self) -> Register:
        """The newest one here, whether it is in force yet or not."""
        found = Register.open(self.directory)
        return self._opened.setdefault(found.version, found)

    def open(self, version: Version) -> Register:
        """RegisterError if it is not here, or another one of its number is."""
        register = self._opened.get(version.number)
        if register is None:
            register = Register.open(self.directory, version.number)
            self._opened[version.number] = register
        if register.checksum != version.checksum:
            raise RegisterError(
                f"{self.directory}: version {version.number} is not the one that the stream was "
                "given",
                "bring that register's directory back, or use another store.prefix",
            )
        return register
