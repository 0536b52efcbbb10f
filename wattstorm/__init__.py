"""Real-time smart-meter analytics: exact load curves out of a stream of readings.

from wattstorm import Results

with Results.open() as results:
    curve = results.national()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wattstorm.ingest.producer import Producer
    from wattstorm.readers.results import Results

__all__ = ["Producer", "Results", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # When it is asked for: a worker imports this package too and needs no client.
    if name == "Results":
        from wattstorm.readers.results import Results

        return Results
    if name == "Producer":
        from wattstorm.ingest.producer import Producer

        return Producer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
