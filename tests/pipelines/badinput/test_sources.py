"""Sources that fail while they are read: nothing is half landed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.errors import SourceError
from tests.pipelines.badinput.town import (
    CANARY,
    GOOD_ROWS,
    HEADER,
    Found,
    Rows,
    rows,
)
from tests.pipelines.sources.collecting import Proxy
from tests.pipelines.sources.conftest import Department, postgresql  # noqa: F401
from tests.pipelines.sources.test_http import Server, reply, server  # noqa: F401


def test_a_database_dies_in_the_middle(found: Found, postgresql: Department) -> None:  # noqa: F811
    source = "{kind: database, connection: police, table: person, cursor: no}"
    town = found(source, urls={"police": postgresql.url})
    postgresql.run("CREATE TABLE person (no text, name text, phone text, age text, district text)")
    _insert(postgresql, rows(1))
    town.good(1)
    _insert(postgresql, rows(2, 40_000))
    proxy = Proxy(5432, 200_000)
    town.urls["police"] = postgresql.url.replace(":5432", f":{proxy.port}")
    try:
        town.refused(2, SourceError, "person")
    finally:
        proxy.close()
        town.urls["police"] = postgresql.url
    postgresql.run(f"DELETE FROM person WHERE no >= 'P2{GOOD_ROWS:05}'", "DELETE FROM person WHERE no < 'P2'")
    town.good(2)


def _insert(department: Department, data: Rows) -> None:
    values = ", ".join("(" + ", ".join(f"'{cell}'" for cell in row) + ")" for row in data)
    department.run(f"INSERT INTO person VALUES {values}")


HTTP = "{kind: http, connection: police, path: persons, total: total, retries: 0, params: {day: '{day}'}, paging: {kind: page, page_size: 10}}"


def _pages(day: int) -> list[dict[str, Any]]:
    data = [dict(zip(HEADER, row, strict=True)) for row in rows(day)]
    return [{"total": GOOD_ROWS, "data": data[:10]}, {"total": GOOD_ROWS, "data": data[10:]}]


DEATHS: dict[str, tuple[Callable[[dict[str, Any]], tuple[int, dict[str, str], bytes]], tuple[str, ...]]] = {
    "a page of HTML": (
        lambda _: (200, {"content-type": "text/html"}, f"<html>{CANARY} 登录</html>".encode()),
        ("persons", "JSON"),
    ),
    "HTML that says it is JSON": (
        lambda _: (200, {"content-type": "application/json"}, f"<html>{CANARY} 登录</html>".encode()),
        ("persons", "JSON"),
    ),
    "the connection is cut": (
        lambda page: (
            200,
            {"content-type": "application/json", "content-length": "99999"},
            reply(page)[2][:300],
        ),
        ("persons",),
    ),
    "a server's error": (lambda _: (500, {}, f"{CANARY}".encode()), ("persons", "500")),
    "fewer rows than it counts": (lambda page: reply({"total": 20, "data": page["data"][:4]}), ("persons",)),
}


@pytest.mark.parametrize("fault", DEATHS)
def test_an_api_fails_on_its_second_page(found: Found, server: Server, fault: str) -> None:  # noqa: F811
    fail, words = DEATHS[fault]
    bad = {"day": ""}

    def answer(_: str, query: dict[str, str], __: dict[str, str]) -> Any:
        number = int(query["page"])
        if number > 2:
            return reply({"total": GOOD_ROWS, "data": []})
        page = _pages(int(query["day"]))[number - 1]
        return fail(page) if query["day"] == bad["day"] and number == 2 else reply(page)

    server.answer = answer
    town = found(HTTP, urls={"police": server.url})
    town.good(1)
    bad["day"] = "02"
    town.refused(2, SourceError, *words)
    town.good(3)
    bad["day"] = ""
    town.good(2)
