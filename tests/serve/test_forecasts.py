"""Forecasts over HTTP: what the consumer of the slots wrote, in plain values."""

from __future__ import annotations

import httpx

from tests.readers.publishing import PARIS, Published
from tests.serve.conftest import SUNDAY
from wattstorm.metering.forecasts import Accuracy, ForecastRow, Money
from wattstorm.metering.slots import day_number
from wattstorm.store.forecasts import NEWEST, ForecastStore, day_key


def test_a_forecast_is_told_with_its_band_its_money_and_its_errors(
    api: httpx.Client, publish: Published
) -> None:
    """The newest that was said, and all that was; nothing said is 404."""
    assert api.get("/v1/forecasts/nation").status_code == 404
    slots, number = PARIS.day_slots(SUNDAY), day_number(SUNDAY)
    said = []
    for issued in (slots[0] - 24, slots[0] - 20):
        wh = tuple(range(issued % 48, issued % 48 + len(slots)))
        money = Money("1.23", "1.00", "1.50", "p1", True, ("0.01",) * len(slots))
        said.append(
            ForecastRow(
                *("nation", number, slots[0], issued, wh),
                {"0.05": wh, "0.95": wh},
                *(sum(wh), 900, 1100, "mixture", "m1", 7),
                money=money,
                accuracy={7: Accuracy(3.5, 6.25, 336)},
            )
        )
    own, redis = ForecastStore(publish.connection, "wattstorm").own, publish.connection.redis
    for row in said:
        field = f"{row.issued}:nation"
        redis.hset(f"{own}:{day_key(number)}", field, row.to_json())
    redis.hset(f"{own}:{NEWEST}", "1:nation", said[-1].to_json())
    got = api.get("/v1/forecasts/nation").json()
    assert (got["day"], len(got["wh"]), got["wh"][0]) == (str(SUNDAY), 50, said[-1].wh[0])
    assert got["eur"]["point"] == "1.23"
    assert got["error_percent"] == {"7 d": {"ours": 3.5, "d_7": 6.25, "slots": 336}}
    both = api.get("/v1/forecasts/nation/issued", params={"day": str(SUNDAY)}).json()["forecasts"]
    assert [each["wh"][0] for each in both] == [row.wh[0] for row in said]
    metrics = api.get("/metrics").text
    assert 'wattstorm_forecast_error_percent{days="7",scope="nation"} 3.5' in metrics
    assert 'wattstorm_forecast_naive_error_percent{days="7",scope="nation"} 6.25' in metrics
