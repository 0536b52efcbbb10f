"""Tables of readings as people have them, read with polars; no worker imports this room."""
