"""Every parameter of every call: numbers beyond bounds, SQL, and whatever fits the OpenAPI description."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import hypothesis
import pytest
import schemathesis
import sqlalchemy as sa
from schemathesis.checks import not_a_server_error

from exchange.schema import ACCOUNTS, METADATA, TOKENS
from tests.exchange.web.conftest import Served
from tests.exchange.web.test_hostile import SECRETS

Described = dict[str, Any]
GOOD = {
    "dataset": "health.visit",
    "policy": "default",
    "share": "health",
    "schema": "visit",
    "namespace": "health",
    "number": "1",
    "step": "withdraw",
    "ident": "0" * 16,
    "key": "0" * 16,
    "name": "x",
}
"""What leads as far as it goes where something else is tried."""


@pytest.mark.parametrize("number", [2**63, 10**30, -(2**63) - 1])
def test_numbers_beyond_what_a_database_counts(served: Served, number: int) -> None:
    """In every place of the OpenAPI description that takes a whole number, and with a body that says nothing."""
    described = served.exchange.client.get("/openapi.json").json()
    headers, tried = {"Authorization": f"Bearer {served.token()}"}, 0
    for path, methods in described["paths"].items():
        for method, said in methods.items():
            asked = {each["name"]: each for each in said.get("parameters", [])}
            numbers = {name for name, each in asked.items() if '"integer"' in json.dumps(each["schema"])}
            values = {name: number if name in numbers else "x" for name in asked}
            url = path.format_map({name: values.get(name, "x") for name in re.findall(r"{(\w+)}", path)})
            query = {name: values[name] for name in numbers if asked[name]["in"] == "query"}
            if numbers:
                body = {} if method in ("post", "put", "patch") else None
                answer = served.exchange.client.request(method, url, params=query, headers=headers, json=body)
                assert answer.status_code < 500, (method, path)
                tried += 1
    assert tried >= 5


def places(described: Described) -> Iterator[tuple[str, str, str, str]]:
    """Method, path, place and name of every parameter that takes a text, and of every text of a body."""
    for path, methods in described["paths"].items():
        for method, said in methods.items():
            for each in said.get("parameters", []):
                if '"string"' in json.dumps(each["schema"]):
                    yield method, path, each["in"], each["name"]
            body = (
                said.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            )
            name = body.get("$ref", "").rpartition("/")[2]
            for field in described["components"]["schemas"].get(name, {}).get("properties", {}):
                yield method, path, "body", field


def asked(described: Described, path: str, place: str, name: str, text: str) -> dict[str, Any]:
    """A call that is good but for one text."""
    good = GOOD | {"table": "visit__default" if path.startswith("/iceberg") else "default"}
    told = {each: text if place == "path" and each == name else good.get(each, "x") for each in good}
    url = path.format_map(
        {each: quote(told.get(each, text), safe="") for each in re.findall(r"{(\w+)", path)}
    )
    call: dict[str, Any] = {"url": url, "params": {name: text} if place == "query" else {}}
    if place == "header":
        call["headers"] = {name: text}
    if place == "body":
        stated = {"/requests": "Application", "/objections": "Raised"}.get(path.removeprefix("/api/v1"))
        example = described["components"]["schemas"][stated]["example"] if stated else {}
        call["json"] = example | {name: text}
    return call


@pytest.mark.parametrize(
    "text",
    [
        "' OR '1'='1' --",
        '"; DROP TABLE accounts; --',
        "visit_no:eq:x' UNION SELECT digest FROM tokens --",
        "1; ATTACH DATABASE 'x' AS y; COPY tokens TO '/tmp/x'",
    ],
)
def test_sql_in_every_parameter(served: Served, text: str) -> None:
    """It is a text everywhere: nothing fails, nothing is more than it was, and nothing else is told."""
    served.grant()
    served.exchange.house.per_minute = 1_000_000
    described = served.exchange.client.get("/openapi.json").json()
    before, tried = _kept(served), 0
    for method, path, place, name in places(described):
        call = asked(described, path, place, name, text)
        headers = {"Authorization": f"Bearer {served.token()}"} | call.pop("headers", {})
        answer = served.exchange.client.request(method, **call, headers=headers)
        assert answer.status_code < 500, (method, path, name)
        assert not any(each in answer.text for each in (*SECRETS, *(row["digest"] for row in before[1])))
        if answer.status_code == 200 and path.endswith("/rows") and name == "where":
            assert answer.json()["rows"] == []
        tried += 1
    assert tried >= 60
    assert _kept(served) == before


def _kept(served: Served) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Accounts and tokens; every table of the exchange's database is there."""
    with served.exchange.desk.state.begin() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        found = [connection.execute(sa.select(each)).mappings().all() for each in (ACCOUNTS, TOKENS)]
    accounts, tokens = ([dict(row) for row in rows] for rows in found)
    return accounts, tokens


def test_whatever_fits_the_openapi_description_is_answered(served: Served) -> None:
    served.grant()
    app: Any = served.exchange.client.app
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 25
    headers = {"Authorization": f"Bearer {served.token()}"}
    for operation in operations:
        _try(operation, headers)


def _try(operation: Any, headers: dict[str, str]) -> None:
    @hypothesis.given(case=operation.as_strategy())
    @hypothesis.settings(
        max_examples=5,
        derandomize=True,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def run(case: Any) -> None:
        answer = case.call(headers=headers, timeout=120)
        case.validate_response(answer, checks=[not_a_server_error])
        assert not any(each in answer.text for each in SECRETS[:2])

    run()
