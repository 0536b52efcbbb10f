"""Put an archive of make-archive.sh into Nimbus's blob store, once.

    python deploy/python/upload.py NIMBUS:PORT python.tar.gz

Prints the blob's key, which carries the digest of the content: an archive that is there already
is not sent again. docs/operate.md says what config.json does with the key.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from thriftpy2.protocol import TBinaryProtocolFactory
from thriftpy2.rpc import client_context
from thriftpy2.thrift import TException
from thriftpy2.transport import TFramedTransportFactory

CHUNK = 300_000
"""Below Nimbus's nimbus.thrift.max_buffer_size of 1 MiB."""
READ, EVERYTHING = 1, 7


def upload(host: str, port: int, archive: Path) -> str:
    """Upload unless it is there; the key."""
    from streamparse.thrift import storm_thrift as storm

    digest = hashlib.sha256(archive.read_bytes()).hexdigest()[:16]
    key = f"wattstorm-python-{digest}.tar.gz"
    # Without authentication Storm knows one user, and everybody is that one.
    anybody = storm.AccessControl(type=storm.AccessControlType.OTHER, access=EVERYTHING)
    meta = storm.SettableBlobMeta(acl=[anybody], replication_factor=1)
    with client_context(
        storm.Nimbus,
        host=host,
        port=port,
        connect_timeout=10_000,
        socket_timeout=30_000,
        proto_factory=TBinaryProtocolFactory(),
        trans_factory=TFramedTransportFactory(),
    ) as nimbus:
        try:
            session = nimbus.beginCreateBlob(key, meta)
        except storm.KeyAlreadyExistsException:
            return key
        with archive.open("rb") as source:
            while chunk := source.read(CHUNK):
                nimbus.uploadBlobChunk(session, chunk)
        nimbus.finishBlobUpload(session)
    return key


def main(words: list[str]) -> int:
    if len(words) != 2:
        print("usage: upload.py NIMBUS:PORT ARCHIVE.tar.gz", file=sys.stderr)
        return 2
    host, _, port = words[0].partition(":")
    try:
        print(upload(host, int(port or 6627), Path(words[1])))
    except (OSError, TException) as error:
        why = getattr(error, "message", "") or error
        remedy = "check the file and that a Nimbus answers there, then run this again"
        print(f"upload.py: {words[1]} to {words[0]}: {why}; {remedy}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
