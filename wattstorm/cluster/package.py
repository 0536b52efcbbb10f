"""The topology jar: a zip whose files lie below resources/.

Each worker node unpacks it; the shells of Storm's tasks start in that directory.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from wattstorm.shipped import shipped_files

_EPOCH = (1980, 1, 1, 0, 0, 0)  # a jar of the same code is the same jar


def write_jar(path: Path) -> int:
    """Write the topology jar; the number of files in it."""
    count = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as jar:
        for name, source in shipped_files():
            entry = zipfile.ZipInfo(f"resources/{name}", _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            jar.writestr(entry, source.read_bytes())
            count += 1
    return count
