"""JSON APIs as sources, against a real server on the loopback that does what real ones do."""

from __future__ import annotations

import gzip
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lake import landing
from lake.records import Landed
from pipelines.readers import read
from pipelines.sources import http_client, http_paging
from pipelines.sources.http import collect_http
from pipelines.sources.http_connection import parse
from schemas.errors import SettingsError, SourceError
from schemas.model import Entry
from schemas.settings import Settings
from tests.pipelines.building import batch_of, context_of, entry_of

DATASET = "traffic.permit"
SECRET = "s3cr3t"
Query = dict[str, str]
Reply = tuple[int, dict[str, str], bytes]
Answer = Callable[[str, Query, dict[str, str]], Reply]


def reply(document: Any, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"content-type": "application/json", **named}, json.dumps(document).encode()


class Server:
    """`answer` is called for every request; `asked` holds what was asked."""

    def __init__(self) -> None:
        self.answer: Answer = lambda path, query, headers: reply({"data": []})
        self.asked: list[tuple[str, Query, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.asked.append((parts.path, query, headers))
                status, more, body = outer.answer(parts.path, query, headers)
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api"


@pytest.fixture
def server() -> Iterator[Server]:
    here = Server()
    thread = threading.Thread(target=here.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield here
    here.server.shutdown()
    here.server.server_close()
    thread.join(60)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "BACKOFF", 0.01)


def entry(**source: Any) -> Entry:
    declared = {"kind": "http", "connection": "api", "path": "permits", "timeout": "2s", **source}
    return entry_of(DATASET, declared, {"id": "string", "name": "string"})


@pytest.fixture
def collect(server: Server, settings: Settings) -> Callable[..., Landed]:
    def run(day: int = 1, url: str | None = None, **source: Any) -> Landed:
        ctx = context_of(settings, urls={"api": url or server.url})
        return collect_http(ctx, entry(**source), batch_of(DATASET, day))

    return run


Collect = Callable[..., Landed]
PEOPLE = [{"id": str(i), "name": f"某{i}"} for i in range(25)]
PAGE = {"kind": "page", "page_size": 10}


def paged(query: Query, cap: int = 1000) -> list[dict[str, str]]:
    size = min(int(query["size"]), cap)
    start = (int(query["page"]) - 1) * size
    return PEOPLE[start : start + size]


def ids(landed: Landed, source: Entry) -> list[str]:
    return [
        row["id"]
        for file in landed.files
        for batch in read(file, source.source, ["id"])
        for row in batch.to_pylist()
    ]


# ── paging ────────────────────────────────────────────────────────────────────────────────────────────────


def test_pages_land_as_received(server: Server, collect: Collect, settings: Settings) -> None:
    server.answer = lambda path, query, _: reply({"data": paged(query), "meta": {"total": 25}, "path": path})
    landed = collect(paging=PAGE, total="meta.total", params={"day": "{date}"})
    assert (landed.rows, landed.counted) == (25, 25)
    assert [(file.origin, file.rows) for file in landed.files] == [
        ("permits#page-00001.json", 10),
        ("permits#page-00002.json", 10),
        ("permits#page-00003.json", 5),
    ]
    assert json.loads(Path(landed.files[0].path).read_bytes())["path"] == "/api/permits"
    assert ids(landed, entry()) == [person["id"] for person in PEOPLE]
    assert [query for _, query, _ in server.asked] == [
        {"page": str(i), "size": "10", "day": "2026-03-01"} for i in (1, 2, 3)
    ]
    assert collect(paging=PAGE, total="meta.total") == landed == landing.landed(settings, batch_of(DATASET))
    assert len(server.asked) == 3


@pytest.mark.parametrize("total", ["total", None])
def test_a_server_that_gives_less_than_asked_for(server: Server, collect: Collect, total: str | None) -> None:
    """Its pages are of 4 although 10 were asked for: the offset follows what came, and no total is needed."""
    server.answer = lambda _, q, __: reply(
        {"data": PEOPLE[int(q["offset"]) : int(q["offset"]) + 4], "total": "25"}
    )
    landed = collect(paging={"kind": "offset", "page_size": 10}, total=total)
    assert landed.rows == 25
    server.answer = lambda _, q, __: reply({"data": paged(q, 4), "total": 25})
    assert collect(day=2, paging=PAGE, total=total).rows == 25


def test_cursors(server: Server, collect: Collect) -> None:
    def answer(_: str, query: Query, __: dict[str, str]) -> Reply:
        start = int(query.get("after", "0"))
        more = start + 10 < len(PEOPLE)
        return reply({"data": PEOPLE[start : start + 10], "links": {"next": start + 10 if more else None}})

    server.answer = answer
    landed = collect(
        paging={"kind": "cursor", "cursor": "after", "next": "links.next", "limit": None, "page_size": 10}
    )
    assert landed.rows == 25
    assert [query for _, query, _ in server.asked] == [{}, {"after": "10"}, {"after": "20"}]


def test_one_answer_and_none(server: Server, collect: Collect) -> None:
    server.answer = lambda *_: reply(PEOPLE)
    assert collect(records="").rows == 25
    server.answer = lambda *_: reply({"data": [], "total": 0})
    landed = collect(day=2, paging=PAGE, total="total")
    assert (landed.rows, landed.counted, len(landed.files)) == (0, 0, 1)


def test_the_charset_of_the_answer(server: Server, collect: Collect) -> None:
    body = json.dumps({"data": PEOPLE}, ensure_ascii=False).encode("gb18030")
    server.answer = lambda *_: (200, {"content-type": "application/json; charset=GB18030"}, body)
    landed = collect()
    assert (landed.files[0].encoding, landed.rows) == ("gb18030", 25)
    assert Path(landed.files[0].path).read_bytes() == body
    packed = gzip.compress(json.dumps({"data": PEOPLE}).encode())
    server.answer = lambda *_: (200, {"content-type": "text/plain", "content-encoding": "gzip"}, packed)
    assert collect(day=2).rows == 25


# ── authorisation ─────────────────────────────────────────────────────────────────────────────────────────


def test_authorisation(server: Server, collect: Collect) -> None:
    server.answer = lambda *_: reply({"data": PEOPLE})
    host = server.url.removeprefix("http://")
    collect(url=f"http://us%40er:p%3Aw@{host}")
    assert server.asked[-1][2]["authorization"] == "Basic dXNAZXI6cDp3"
    collect(day=2, url=f"{server.url}?header.Authorization=Bearer%20abc&header.X-Key=1&query.appkey=k%26v")
    path, query, headers = server.asked[-1]
    assert (path, query) == ("/api/permits", {"appkey": "k&v"})
    assert (headers["authorization"], headers["x-key"]) == ("Bearer abc", "1")


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://host/{SECRET}",
        f"postgresql://u:{SECRET}@host/db",
        f"https://host:{SECRET}/",
        f"https://host/?token={SECRET}",
        f"https://host/?header.A={SECRET}%0d%0aX:1",
        f"https://host/#{SECRET}",
        f"https:///{SECRET}",
        f"https://host/?{SECRET}",
    ],
)
def test_connections_that_are_none(collect: Collect, url: str) -> None:
    with pytest.raises(SettingsError, match="the connection 'api' is not the URL of an API") as caught:
        collect(url=url)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_secrets_are_nowhere(
    server: Server, collect: Collect, caplog: pytest.LogCaptureFixture, settings: Settings
) -> None:
    host = server.url.removeprefix("http://")
    url = f"http://user:{SECRET}@{host}?header.X-Key={SECRET}x&query.appkey={SECRET}y"
    assert SECRET not in repr(parse("api", url))
    server.answer = lambda *_: reply({"data": PEOPLE})
    with caplog.at_level(logging.DEBUG):
        landed = collect(url=url)
        server.answer = lambda *_: (500, {}, SECRET.encode())
        with pytest.raises(SourceError) as caught:
            collect(day=2, url=url, retries=1)
    assert SECRET not in caplog.text + str(caught.value) + landed.model_dump_json()
    assert "某1" not in caplog.text


@pytest.mark.parametrize("path", ["https://evil.example/x", "//evil.example/x", "../../x"])
def test_paths_that_lead_out(server: Server, collect: Collect, path: str) -> None:
    with pytest.raises(SourceError, match="a path leads out of its connection"):
        collect(path=path)
    assert not server.asked


def test_redirects(server: Server, collect: Collect) -> None:
    def answer(path: str, *_: Any) -> Reply:
        return reply({"data": PEOPLE}) if path == "/new" else (307, {"location": "/new"}, b"")

    server.answer = answer
    assert collect(url=f"{server.url}?header.X-Key=k").rows == 25
    assert server.asked[-1][2]["x-key"] == "k"
    other = Server()
    server.answer = lambda *_: (302, {"location": f"{other.url}/x"}, b"")
    with pytest.raises(SourceError, match="redirects to another host"):
        collect(day=2)
    other.server.server_close()
    assert not other.asked
    server.answer = lambda *_: (302, {"location": "/again"}, b"")
    with pytest.raises(SourceError, match="more than 5 redirects"):
        collect(day=2)


# ── again, or not ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_asked_again(server: Server, collect: Collect, status: int) -> None:
    def answer(*_: Any) -> Reply:
        return reply({"data": PEOPLE}) if len(server.asked) == 3 else (status, {}, b"busy")

    server.answer = answer
    assert collect().rows == 25
    assert len(server.asked) == 3


def test_retry_after(server: Server, collect: Collect) -> None:
    def answer(*_: Any) -> Reply:
        return reply({"data": PEOPLE}) if len(server.asked) > 1 else (429, {"retry-after": "1"}, b"")

    server.answer = answer
    start = time.monotonic()
    assert collect().rows == 25
    assert time.monotonic() - start >= 1
    server.answer = lambda *_: (503, {"retry-after": "86400"}, b"")
    with pytest.raises(SourceError, match="asks us to wait 86400 s"):
        collect(day=2)
    server.answer = lambda *_: (503, {"retry-after": "Thu, 05 Mar 2026 13:00:00 GMT"}, b"")
    with pytest.raises(SourceError, match="asks us to wait 3600 s"):
        collect(day=2)


def test_given_up(server: Server, collect: Collect, settings: Settings) -> None:
    server.answer = lambda *_: (503, {"retry-after": "nonsense"}, b"")
    with pytest.raises(SourceError, match=r"the API answers 503, 3 time\(s\) in a row"):
        collect(retries=2)
    assert len(server.asked) == 3
    with pytest.raises(SourceError, match=r"no answer \(ConnectError\)"):
        collect(url="http://127.0.0.1:9/", retries=1)
    server.answer = lambda *_: (
        200,
        {"content-length": "1000", "content-type": "application/json"},
        b'{"data":',
    )
    with pytest.raises(SourceError, match=r"no answer \(RemoteProtocolError\)"):
        collect(retries=1)
    server.answer = lambda *_: time.sleep(1.5) or reply({"data": []})  # type: ignore[func-returns-value]
    with pytest.raises(SourceError, match=r"no answer \(ReadTimeout\)"):
        collect(retries=0, timeout="1s")
    assert landing.landed(settings, batch_of(DATASET)) is None


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "does not accept our authorisation"),
        (403, "refuses us"),
        (404, "nothing at this path"),
        (400, "answers 400"),
        (204, "answers 204"),
    ],
)
def test_not_asked_again(server: Server, collect: Collect, status: int, message: str) -> None:
    server.answer = lambda *_: (status, {}, b"" if status == 204 else b"personal")
    with pytest.raises(SourceError, match=message) as caught:
        collect()
    assert len(server.asked) == 1
    assert "personal" not in str(caught.value)
    assert caught.value.next_step


def test_the_rate(server: Server, collect: Collect) -> None:
    server.answer = lambda _, query, __: reply({"data": paged(query), "total": 25})
    start = time.monotonic()
    collect(paging=PAGE, total="total", rate=10)
    assert time.monotonic() - start >= 0.2


# ── what is no answer ─────────────────────────────────────────────────────────────────────────────────────

HTML = b"<!DOCTYPE html><p>personal"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ((200, {"content-type": "text/html"}, HTML), "a web page, not JSON"),
        ((200, {"content-type": "application/json"}, HTML), "a web page, not JSON"),
        (
            (200, {"content-type": "application/json"}, b'{"data": [personal'),
            "the answer of 18 bytes is not JSON in utf-8",
        ),
        ((200, {"content-type": "application/json"}, b"\xff\xfe\xfa"), "is not JSON"),
        ((200, {"content-type": "application/json"}, b"[" * 100_000), "is not JSON"),
        ((200, {"content-type": "application/json; charset=klingon"}, b"[]"), "is not JSON in klingon"),
        ((200, {"content-type": "application/xml"}, b"x"), "sent application/xml, not JSON"),
        ((200, {"content-type": "image/png"}, b"x"), "sent image/png"),
        (reply({"error": "personal"}), "page 2 holds no list of records at 'data'"),
        (reply({"data": {"personal": 1}}), "page 2 holds no list"),
        (reply({"data": PEOPLE[:10], "total": 25}), "page 2 repeats an earlier page"),
        (reply({"data": PEOPLE[10:20], "total": 26}), "total changed from 25 to 26"),
        (reply({"data": PEOPLE[10:20]}), "there is no count at 'total'"),
        (reply({"data": PEOPLE[10:20], "total": True}), "there is no count at 'total'"),
        (reply({"data": [], "total": 25}), "reports 25 records and 10 arrived"),
        (reply({"data": PEOPLE * 2, "total": 25}), "reports 25 records and 60 arrived"),
    ],
)
def test_a_bad_second_page_lands_nothing(
    server: Server, collect: Collect, settings: Settings, bad: Reply, message: str
) -> None:
    def answer(_: str, query: Query, __: dict[str, str]) -> Reply:
        return bad if query["page"] == "2" else reply({"data": paged(query), "total": 25})

    server.answer = answer
    with pytest.raises(SourceError, match=message) as caught:
        collect(paging=PAGE, total="total")
    assert "personal" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert landing.landed(settings, batch_of(DATASET)) is None
    server.answer = lambda _, query, __: reply({"data": paged(query), "total": 25})
    assert collect(paging=PAGE, total="total").rows == 25


def test_walks_that_do_not_end(server: Server, collect: Collect, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer = lambda *_: reply({"data": [{"id": str(len(server.asked)), "name": "x"}], "next": "same"})
    with pytest.raises(SourceError, match="a cursor that was there before"):
        collect(paging={"kind": "cursor"})
    server.answer = lambda *_: reply({"data": [], "next": {"personal": 1}})
    with pytest.raises(SourceError, match="neither text nor a number"):
        collect(paging={"kind": "cursor"})
    monkeypatch.setattr(http_paging, "PAGES", 5)
    server.answer = lambda *_: reply({"data": [{"id": str(len(server.asked)), "name": "x"}]})
    with pytest.raises(SourceError, match="more than 5 pages"):
        collect(paging=PAGE)


def test_an_answer_too_large(server: Server, collect: Collect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "PAGE", 10_000)
    packed = gzip.compress(json.dumps({"data": ["x" * 1_000_000]}).encode())
    server.answer = lambda *_: (200, {"content-type": "application/json", "content-encoding": "gzip"}, packed)
    with pytest.raises(SourceError, match="one answer is larger than 10000 bytes"):
        collect()


def test_missing_and_new_keys(server: Server, collect: Collect) -> None:
    server.answer = lambda *_: reply({"data": [{"id": "1", "nam": "x"}]})
    with pytest.raises(SourceError, match=r"column name is missing \(near: nam\)"):
        collect()
    server.answer = lambda *_: reply({"data": [{"id": "1"}, {"id": "2", "name": "x", "new": 1}, 7]})
    landed = collect()
    assert landed.rows == 3
    assert landed.notes == ("permits: 1 column(s) not collected: new", "permits: 1 malformed row(s)")
