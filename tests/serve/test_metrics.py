"""What Prometheus reads is what the stream counted; rules and dashboard name nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.readers.publishing import Published
from wattstorm.instruments import Instruments
from wattstorm.metering.forecasts import Accuracy, ForecastRow
from wattstorm.store.forecasts import NEWEST, ForecastStore
from wattstorm.store.keys import partition_keys
from wattstorm.store.workers import write_beat

DEPLOY = Path(__file__).parents[2] / "deploy"
KEYS = partition_keys("wattstorm", 0)


@pytest.fixture(scope="module")
def scraped(api: httpx.Client, publish: Published) -> dict[str, dict[str, float]]:
    """sample's name → its labels' values, joined → value; of a stream that counted something."""
    redis = publish.connection.redis
    redis.hset(KEYS.audit, mapping={"received": 11, "new": 8, "double": 2, "too_old": 1})
    redis.hset(KEYS.audit, mapping={"batches": 3, "blocks": 4})
    redis.hset(KEYS.head, mapping={"tail": 9, "appended": 900, "committed": 400})
    redis.hset(KEYS.fence, mapping={"position": 4})
    measured = Instruments()
    for seconds in (0.002, 0.3, 99.0):
        measured.took("delay", seconds)
    for name in ("snapshot_age_s", "unsaved_mb", "dirty_slots", "queue", "partitions"):
        measured.level(name, 7)
    forecast_of_nothing = ForecastRow(
        *("nation", 1, 48, 40, (1,), {}, 1, 1, 1, "naive", "", 1), accuracy={7: Accuracy(1, 2, 3)}
    )
    own = ForecastStore(publish.connection, "wattstorm").own
    redis.hset(f"{own}:{NEWEST}", "1:nation", forecast_of_nothing.to_json())
    card = {"restarts": 2, "host": "secret-host", "instruments": measured.told()}
    write_beat(publish.connection, "wattstorm", "LoadCurves", "aggregate-0", card, 60)
    return samples(api)


def samples(api: httpx.Client) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(api.get("/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[" ".join(sample.labels.values())] = sample.value
    return found


def test_the_numbers_are_those_of_the_store(scraped: dict[str, dict[str, float]]) -> None:
    assert scraped["wattstorm_readings_total"]["new"] == 8
    assert scraped["wattstorm_readings_total"]["too_old"] == 1
    assert scraped["wattstorm_received_total"] == {"": 11}
    assert scraped["wattstorm_conserved"] == {"": 1}
    assert scraped["wattstorm_lag_blocks"] == {"0": 5}
    assert scraped["wattstorm_lag_bytes"] == {"0": 500}
    assert scraped["wattstorm_newest_coverage"]["tariff:a"] == 0.9
    assert scraped["wattstorm_day_missing_slots"]["nation"] == 0
    assert scraped["wattstorm_task_up"] == {"aggregate-0 LoadCurves": 1}
    assert scraped["wattstorm_snapshot_age_seconds"] == {"aggregate-0 LoadCurves": 7}
    buckets = scraped["wattstorm_step_seconds_bucket"]
    of = {name.split(" ")[0]: n for name, n in buckets.items()}
    assert (of["0.001"], of["0.0025"], of["0.5"], of["30"], of["+Inf"]) == (0, 1, 2, 2, 3)
    assert sum(scraped["wattstorm_step_seconds_sum"].values()) == pytest.approx(99.302)


def test_no_label_names_a_machine_or_a_producer(
    api: httpx.Client, scraped: dict[str, dict[str, float]]
) -> None:
    assert "secret-host" not in api.get("/metrics").text + api.get("/v1/health").text


def named(text: str) -> set[str]:
    return set(re.findall(r"\bwattstorm_\w+", text))


def test_each_metric_that_the_alert_rules_name_exists(
    scraped: dict[str, dict[str, float]],
) -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
    assert len(rules) > 10
    for rule in rules:
        assert named(rule["expr"]), rule["alert"]
        assert named(rule["expr"]) - scraped.keys() == set(), rule["alert"]
        assert {"summary", "remedy"} <= rule["annotations"].keys()


def test_each_metric_that_the_dashboard_shows_exists(
    scraped: dict[str, dict[str, float]],
) -> None:
    """And panels do not lie upon each other."""
    panels = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        for target in panel["targets"]:
            assert named(target["expr"]) - scraped.keys() == set(), panel["title"]
        at = panel["gridPos"]
        cells = {(at["x"] + i, at["y"] + j) for i in range(at["w"]) for j in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
