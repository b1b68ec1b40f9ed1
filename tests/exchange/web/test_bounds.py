"""Readers that are slow, that stall and that go away; bodies that do not come: each ends, and is told in the log."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Send

from exchange.web import bounds, streaming
from exchange.web.bounds import Crowd, TooMany
from tests.exchange.web.conftest import Exchange
from tests.pipelines.publishing.making import ID

PATH = f"/api/v1/tables/{ID}/default/rows"


def scope(exchange: Exchange, path: str = PATH, method: str = "GET", **headers: str) -> dict[str, Any]:
    given = {"authorization": f"Bearer {exchange.tokens['asker']}", "host": "exchange.example"} | headers
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"format=jsonl",
        "headers": [(name.encode(), text.encode()) for name, text in given.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }


def call(exchange: Exchange, receive: Receive, send: Send, **more: Any) -> None:
    """A call at the application itself, by a server whose reader is what `receive` and `send` are."""
    asyncio.run(exchange.client.app(scope(exchange, **more), receive, send))  # type: ignore[arg-type]
    assert exchange.house.crowd.under_way == 0


def listening() -> Receive:
    """The request, and then nothing more."""
    waiting: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        return waiting.pop() if waiting else await asyncio.Event().wait()  # type: ignore[return-value]

    return receive


def result(exchange: Exchange) -> tuple[str, str, int]:
    attempt, outcome = exchange.log()[-2:]
    return attempt["phase"], outcome["result"], outcome["rows"]


@pytest.fixture(autouse=True)
def small_pieces(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange.grant()
    monkeypatch.setattr(streaming, "PIECE", 1)


def test_a_reader_that_takes_nothing_is_left(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "STALLED_SECONDS", 0.2)
    taken: list[Message] = []

    async def send(message: Message) -> None:
        taken.append(message)
        if len(taken) > 2:
            await asyncio.Event().wait()

    call(exchange, listening(), send)
    assert [each["type"] for each in taken] == ["http.response.start"] + ["http.response.body"] * 2
    assert result(exchange)[:2] == ("attempt", "broken off")


def test_a_reader_that_goes_away_ends_the_reading(exchange: Exchange) -> None:
    gone = asyncio.Event()
    first = listening()
    asked: list[bool] = []

    async def receive() -> Message:
        if not asked:
            asked.append(True)
            return await first()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            gone.set()
            await asyncio.sleep(0)

    call(exchange, receive, send)
    assert result(exchange)[:2] == ("attempt", "broken off")


def test_a_slow_reader_gets_all_of_it(exchange: Exchange) -> None:
    taken: list[bytes] = []

    async def send(message: Message) -> None:
        await asyncio.sleep(0.001)
        taken.append(message.get("body", b""))

    call(exchange, listening(), send)
    assert b"".join(taken).count(b"\n") == 200
    assert result(exchange) == ("attempt", "done", 200)


def test_a_body_that_does_not_come_is_not_waited_for(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "BODY_SECONDS", 0.2)
    pieces: list[Message] = [{"type": "http.request", "body": b"{", "more_body": True}]
    answered: list[int] = []

    async def receive() -> Message:
        return pieces.pop() if pieces else await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered.append(message["status"])

    headers = {"content-length": "100", "content-type": "application/json"}
    call(exchange, receive, send, path="/api/v1/requests", method="POST", **headers)
    assert answered == [400]


def test_of_the_calls_at_one_time_one_caller_has_a_quarter() -> None:
    crowd, calls = Crowd(8), [{"type": "http"} for _ in range(8)]
    assert all(crowd.come() for _ in calls) and not crowd.come()
    for each in calls[:2]:
        crowd.known(each, "account a", "a")
    with pytest.raises(TooMany) as raised:
        crowd.known(calls[2], "account a", "a")
    assert (raised.value.after, raised.value.who) == (1, "a")
    crowd.known(calls[3], "account b")
    crowd.leave(calls[0])
    crowd.known(calls[2], "account a")
    for each in calls[1:]:
        crowd.leave(each)
    assert (crowd.under_way, crowd.most_seen) == (0, 8)


def test_a_store_that_fails_in_the_middle_breaks_the_answer_off(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was sent is told; the answer is not ended as if it were whole, and the server has nothing to log of it."""
    from exchange import reading

    def failing(page: reading.Page, *more: Any) -> Any:
        yield next(cut(page, *more)).slice(0, 3)
        raise OSError("the store is gone")

    cut = reading._cut
    monkeypatch.setattr(reading, "_cut", failing)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    call(exchange, listening(), send)
    assert "; which came of OSError at exchange.web.streaming." in caplog.text
    assert "the store is gone" not in caplog.text
    assert sent[0]["status"] == 200 and sent[-1]["more_body"]
    assert exchange.house.crowd.under_way == 0
    assert result(exchange) == ("attempt", "broken off", 3)
