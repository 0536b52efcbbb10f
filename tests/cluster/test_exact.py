"""The topology on a real Storm cluster gives what a plain recomputation gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cluster.site import Feeding, Site
from tests.stream.town import a_stream

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240, method="signal")]


def test_five_million_readings_add_up_on_the_cluster(site: Callable[..., Site]) -> None:
    """Shuffled, doubled, corrected, late readings, and blocks that nobody can decode."""
    here = site(33_000, 5_500)
    stream = a_stream(4, 33_000, 144)
    assert len(stream) >= 5_000_000
    here.submit("five-million", workers=2)
    feeding = Feeding(here.town, stream, 60_000, garbage=40)
    feeding.start()
    feeding.finish()
    here.wait_drained(60)
    here.assert_exact(stream, garbage=40)
