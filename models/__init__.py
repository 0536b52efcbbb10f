"""Mathematics without streams: SAX words and scores. numpy and numba; no Redis, no Storm."""
