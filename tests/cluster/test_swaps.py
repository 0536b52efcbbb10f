"""Models go live while the topology runs on Storm: no forecast is lost, none is there twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cluster.site import Site
from tests.stream.forecasting import live, registered
from tests.stream.test_model_swaps import DAY, METERS, assert_as_the_log_says, feed
from tests.stream.town import wait_until
from wattstorm.store.commit import PartitionStore
from wattstorm.store.control import MODEL, slots_control
from wattstorm.store.keys import FORECASTS, SLOTS
from wattstorm.store.log import Log
from wattstorm.store.producer import Producer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240, method="signal")]
SWAPS = 5


def test_five_swaps_lose_and_double_no_forecast(site: Callable[..., Site]) -> None:
    """Fourteen days flow through, from the tenth on another model goes live each day; what stands
    in the store is what the log alone says, to the bit."""
    here = site(METERS, METERS, stream__slot_minutes=60)
    root = here.town.directory / "models"
    two = [registered(root, weather=weather) for weather in (True, False)]
    here.submit("swapping")
    connection, log = here.connection, here.town.log(here.connection)
    control = slots_control(connection, "wattstorm")
    producer = Producer(log, "town", here.town.partitions, backlog_bytes=64 << 20)
    slots = Log(connection, "wattstorm", name=SLOTS)
    for day in range(14):
        before = slots.tails([0])[0]
        feed(here.town, producer, DAY + day)
        wait_until(lambda n=before: slots.tails([0])[0] >= n + 24, 40, "a day in the log of slots")
        if day >= 14 - SWAPS:
            assert control.amend(MODEL, lambda _, n=day: live(two[n % 2], two[1 - n % 2])).position
    store = PartitionStore(connection, "wattstorm", 0, log=SLOTS, consumer=FORECASTS)
    wait_until(lambda: store.fence().position == slots.tails([0])[0], 40, "all to be forecast")
    told = assert_as_the_log_says(here.town, connection, swaps=SWAPS)
    assert {row.version for row in told} == {"", *(named.id for named in two)}
