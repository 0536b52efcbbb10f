"""The API keeps what its OpenAPI promises, whatever it is asked within it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.readers.publishing import Published
from tests.serve.conftest import serving, settings_for
from tests.servers import TestServer
from wattstorm.serve.tokens import TokenFile

EXAMPLES = 12
"""Of each path: all of them together in some seconds."""


@pytest.fixture(scope="module")
def api(
    redis: TestServer, publish: Published, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Who asks needs a token: so that it is seen where none is asked for."""
    settings = settings_for(redis, tmp_path_factory.mktemp("d"), anonymous="none", burst=100_000)
    secret = TokenFile.of(settings).add("tester", "analyst")
    with serving(settings) as client:
        client.headers["Authorization"] = f"Bearer {secret}"
        yield client


@pytest.fixture(scope="module")
def schema(api: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/v1/openapi.json").json()
    return found


def test_each_path_says_what_it_answers_and_what_goes_wrong(schema: dict[str, Any]) -> None:
    assert len(schema["paths"]) >= 10
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            assert operation["description"], path
            assert operation["tags"], path
            answers = operation["responses"]
            for status, said in answers.items():
                assert status < "400" or "application/problem+json" in said["content"], path
            if path not in ("/healthz",):
                assert {"401", "429"} <= answers.keys(), path
    examples = json.dumps(schema["components"]["schemas"])
    assert "HTTPValidationError" not in examples
    assert "tariff:base_6" in examples


def test_whatever_is_asked_the_answer_is_one_that_is_promised(
    api: httpx.Client, schema: dict[str, Any], publish: Published
) -> None:
    """Requests that fit the schema, and such as do not: no 500, no undocumented status or type,
    bodies as described. That last is not before first, and how much is too much, no schema says.
    What is sent for ever is asked for elsewhere (test_followers)."""
    loaded = schemathesis.openapi.from_dict(schema)
    asked = 0
    for found in loaded.exclude(path="/v1/changes/stream").get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            headers = {"Authorization": api.headers["Authorization"]}
            case.call_and_validate(
                base_url=str(api.base_url),
                headers=headers,
                excluded_checks=[positive_data_acceptance],
            )

        ask()
    assert asked > 5 * EXAMPLES
