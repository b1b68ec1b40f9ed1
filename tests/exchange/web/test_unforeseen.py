"""An error that nobody foresaw, in a call and in the middle of an answer: told to nobody in its own words."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.exchange.web.conftest import Served

CANARY = "320102199003070011"


def broken(*_: object, **__: object) -> Any:
    raise ValueError(f"{CANARY} is no number")


def test_it_is_500_and_the_log_tells_its_kind_and_place(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("uvicorn").propagate = True
    monkeypatch.setattr("exchange.web.tables.readable", broken)
    headers = {"Authorization": f"Bearer {served.token()}"}
    answer = httpx.get(f"{served.url}/api/v1/tables", headers=headers)
    assert answer.status_code == 500 and answer.json()["title"] == "Internal error"
    assert "ValueError at " in caplog.text and "exchange.web.tables.tables:" in caplog.text
    assert CANARY not in caplog.text + answer.text
    assert 'xuanwu_exchange_answers_total{door="/api/v1/tables",status="500"} 1.0' in metrics(served)


def test_in_the_middle_of_an_answer_the_reader_sees_that_it_is_not_whole(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def some(page: object) -> Iterator[bytes]:
        yield b"x" * 70_000
        broken()

    caplog.set_level(logging.DEBUG)
    logging.getLogger("uvicorn").propagate = True
    served.grant()
    monkeypatch.setitem(__import__("exchange.web.tables").web.tables.FORMATS, "csv", ("text/csv", some))
    headers = {"Authorization": f"Bearer {served.token()}"}
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{served.url}/api/v1/tables/health.visit/default/rows?format=csv", headers=headers)
    assert "ValueError at " in caplog.text
    assert CANARY not in caplog.text


def metrics(served: Served) -> str:
    return httpx.get(f"{served.url}/metrics").text
