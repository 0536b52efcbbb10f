"""The state directory's disk: what is synced survives a power cut, the rest may not."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path


class Disk:
    """Below `root`. A file's content is safe once synced, its name once the directory was."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.full = False
        self._content: dict[int, bytes] = {}
        self._names: dict[Path, dict[str, int]] = {}

    def check_room(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")

    def sync(self, descriptor: int) -> None:
        """What fsync does, for a file or a directory."""
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            self._names[path] = _files(path)
            return
        self.check_room()
        self._content[os.fstat(descriptor).st_ino] = path.read_bytes()

    def cut(self, *, names_too: bool) -> None:
        """The power is gone: content that was not synced is lost, and with `names_too`
        what was renamed and removed since the directory was synced is as before."""
        for directory in [path for path in self.root.rglob("*") if path.is_dir()]:
            now = _files(directory)
            then = self._names.get(directory, {}) if names_too else now
            for name in now:
                (directory / name).unlink()
            for name, inode in then.items():
                (directory / name).write_bytes(self._content.get(inode, b""))
            self._names[directory] = _files(directory)
            for name, inode in self._names[directory].items():
                self._content[inode] = (directory / name).read_bytes()

    def lose(self) -> None:
        """Another machine, or another disk: there is nothing."""
        for path in self.root.iterdir():
            shutil.rmtree(path)
        self._content.clear()
        self._names.clear()


def _files(directory: Path) -> dict[str, int]:
    """Name → inode."""
    return {path.name: path.stat().st_ino for path in directory.iterdir() if path.is_file()}
