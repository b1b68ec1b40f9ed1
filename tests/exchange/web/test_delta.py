"""Delta Sharing: lists, versions, metadata, files; what is refused, and in which form."""

from __future__ import annotations

import io
import json

import pyarrow.parquet as pq
import pytest
from httpx import Response

from exchange.requests import take
from exchange.web import pieces as sending
from tests.exchange.conftest import Clock
from tests.exchange.web.conftest import PEOPLE, Exchange
from tests.pipelines.publishing.making import people

AT = "/delta-sharing/shares"
TABLE = f"{AT}/health/schemas/visit/tables/default"


def lines(answer: Response) -> list[dict]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson; charset=utf-8"
    return [json.loads(line) for line in answer.text.splitlines()]


def query(exchange: Exchange, who: str = "asker", capabilities: str = "", **asked: object) -> Response:
    headers = {"Authorization": f"Bearer {exchange.tokens[who]}", "delta-sharing-capabilities": capabilities}
    return exchange.client.post(f"{TABLE}/query", json=asked, headers=headers)


def read(exchange: Exchange, answer: Response) -> list[dict]:
    files = [line["file"] for line in lines(answer) if "file" in line]
    bodies = [exchange.client.get(file["url"]) for file in files]
    assert [len(body.content) for body in bodies] == [file["size"] for file in files]
    return [row for body in bodies for row in pq.read_table(io.BytesIO(body.content)).to_pylist()]


def refused(answer: Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["errorCode"] == code
    assert answer.json()["message"]


def test_lists_hold_what_may_be_read_and_nothing_else(exchange: Exchange) -> None:
    assert exchange.get(AT).json() == {"items": []}
    exchange.grant()
    assert exchange.get(AT).json()["items"] == [{"name": "health", "id": "health"}]
    assert exchange.get(f"{AT}/HEALTH").json()["share"]["name"] == "health"
    assert exchange.get(f"{AT}/health/schemas").json()["items"] == [{"name": "visit", "share": "health"}]
    for path in ("health/schemas/visit/tables", "health/all-tables"):
        assert [each["name"] for each in exchange.get(f"{AT}/{path}").json()["items"]] == ["default"]
    exchange.grant("statistics")
    page = exchange.get(f"{AT}/health/all-tables", params={"maxResults": 1}).json()
    rest = exchange.get(f"{AT}/health/all-tables", params={"pageToken": page["nextPageToken"]}).json()
    assert [each["name"] for each in page["items"] + rest["items"]] == ["default", "statistics"]
    assert "nextPageToken" not in rest
    for who in ("other", "auditor", "clerk"):
        refused(exchange.get(f"{AT}/health", who), 404, "RESOURCE_DOES_NOT_EXIST")
    refused(exchange.get(AT, None), 401, "UNAUTHENTICATED")
    refused(exchange.get(AT, params={"maxResults": "x"}), 400, "INVALID_PARAMETER_VALUE")


def test_the_files_hold_the_published_rows(exchange: Exchange) -> None:
    exchange.grant()
    answer = query(exchange)
    protocol, metadata, *_ = lines(answer)
    assert protocol == {"protocol": {"minReaderVersion": 1}}
    fields = json.loads(metadata["metaData"]["schemaString"])["fields"]
    kinds = {field["name"]: field["type"] for field in fields}
    assert kinds["fee"] == "decimal(12,2)"
    assert kinds["at"] == "timestamp"
    assert kinds["born"] == "string"
    assert read(exchange, answer) == exchange.city.rows(exchange.published)
    text = json.dumps(read(exchange, answer), default=str, ensure_ascii=False)
    assert not any(str(row["id_no"]) in text or row["name"] in text for row in people(200))
    assert answer.headers["delta-table-version"] == "1"


def test_the_delta_format_names_the_same_files(exchange: Exchange) -> None:
    exchange.grant()
    protocol, metadata, file = lines(query(exchange, capabilities="responseformat=delta;readerfeatures=x"))
    assert protocol["protocol"]["deltaProtocol"]["minReaderVersion"] == 1
    assert metadata["metaData"]["deltaMetadata"]["format"]["provider"] == "parquet"
    add = file["file"]["deltaSingleAction"]["add"]
    body = exchange.client.get(add["path"]).content
    assert (len(body), json.loads(add["stats"])["numRecords"]) == (add["size"], 200)
    both = query(exchange, capabilities="responseFormat=delta,parquet")
    assert both.headers["delta-sharing-capabilities"] == "responseformat=parquet"
    refused(query(exchange, capabilities="responseformat=csv"), 400, "INVALID_PARAMETER_VALUE")


def test_versions_and_times(exchange: Exchange) -> None:
    exchange.grant()
    exchange.city.publish(exchange.city.curate(2, people(150, day=2)))
    assert exchange.get(f"{TABLE}/version").headers["delta-table-version"] == "2"
    assert len(read(exchange, query(exchange, version=1))) == 200
    *_, file = lines(query(exchange, version=1))
    first = file["file"]["timestamp"]
    assert len(read(exchange, query(exchange))) == 150
    moment = "2099-01-01T00:00:00Z"
    assert len(read(exchange, query(exchange, timestamp=moment))) == 150
    assert exchange.get(f"{TABLE}/metadata", params={"version": 1}).headers["delta-table-version"] == "1"
    since = exchange.get(f"{TABLE}/version", params={"startingTimestamp": "1999-01-01T00:00:00Z"})
    assert (since.headers["delta-table-version"], first > 0) == ("1", True)
    for asked in (
        {"version": 3},
        {"timestamp": "2001-01-01T00:00:00Z"},
        {"timestamp": "yesterday"},
        {"version": 1, "timestamp": moment},
        {"startingVersion": 1},
        {"version": -1},
        {"predicateHints": "x"},
    ):
        refused(query(exchange, **asked), 400, "INVALID_PARAMETER_VALUE")
    refused(exchange.get(f"{TABLE}/changes"), 400, "INVALID_PARAMETER_VALUE")


def test_hints(exchange: Exchange) -> None:
    exchange.grant()
    assert len(read(exchange, query(exchange, predicateHints=["balance > 0"]))) == 0
    assert (
        len(read(exchange, query(exchange, predicateHints=["balance < 0", "nonsense ("], limitHint=1))) == 200
    )
    assert len(read(exchange, query(exchange, limitHint=0))) == 0
    assert len(read(exchange, query(exchange, jsonPredicateHints="[" * 1000))) == 200


def test_nothing_without_a_grant_and_all_of_it_is_logged(exchange: Exchange) -> None:
    for who in ("asker", "other", "auditor", "bureau", "clerk"):
        refused(query(exchange, who), 403, "PERMISSION_DENIED")
    assert [(each["by"], each["door"]) for each in exchange.log()] == [
        (who, "delta") for who in ("asker", "other", "auditor", "bureau", "clerk")
    ]
    number = exchange.grant()
    rows = read(exchange, query(exchange, predicateHints=["district = '320102'"]))
    attempt, outcome, fetched = exchange.log()[5:]
    assert [each["phase"] for each in (attempt, outcome, fetched)] == ["attempt", "outcome", "fetched"]
    assert (outcome["rows"], fetched["file_rows"]) == (len(rows), 200)
    assert {each["purpose"] for each in (attempt, outcome, fetched)} == {f"request {number}"}
    assert len(attempt["filter"]) == 64
    assert "320102" not in json.dumps(exchange.log())


def test_a_url_is_good_for_one_file_and_a_while_and_only_under_its_grant(
    exchange: Exchange, clock: Clock
) -> None:
    number = exchange.grant()
    *_, file = lines(query(exchange))
    url = file["file"]["url"]
    whole = exchange.client.get(url).content
    piece = exchange.client.get(url, headers={"Range": "bytes=4-9"})
    assert (piece.status_code, piece.content) == (206, whole[4:10])
    assert piece.headers["content-range"] == f"bytes 4-9/{len(whole)}"
    assert exchange.client.get(url, headers={"Range": "bytes=-8"}).content == whole[-8:]
    assert exchange.client.get(url, headers={"Range": f"bytes={len(whole)}-"}).status_code == 416
    assert exchange.client.head(url).headers["content-length"] == str(len(whole))
    take(exchange.desk, PEOPLE["bureau"], number, "suspend", {"reason": "核查"})
    assert exchange.client.get(url).status_code == 403
    take(exchange.desk, PEOPLE["bureau"], number, "resume", {"reason": "完毕"})
    clock.wait(minutes=14, seconds=59)
    assert exchange.client.get(url).status_code == 200
    clock.wait(seconds=1)
    late = exchange.client.get(url)
    assert late.status_code == 403
    assert b"<Code>AccessDenied</Code>" in late.content


def test_a_piece_is_the_same_bytes_in_one_or_streamed(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange.grant()
    *_, file = lines(query(exchange))
    url, ranges = file["file"]["url"], ("bytes=0-", "bytes=4-200", "bytes=-9", "bytes=0-0")
    whole = exchange.client.get(url)
    pieces = [exchange.client.get(url, headers={"Range": each}) for each in ranges]
    monkeypatch.setattr(sending, "SMALL", 0)
    monkeypatch.setattr(sending, "BLOCK", 7)
    for before, each in zip(pieces, ranges, strict=True):
        streamed = exchange.client.get(url, headers={"Range": each})
        assert (streamed.status_code, streamed.content) == (206, before.content)
        assert streamed.headers == before.headers
    assert exchange.client.get(url).content == whole.content


def test_an_altered_url_is_refused(exchange: Exchange) -> None:
    exchange.grant()
    *_, file = lines(query(exchange))
    url = file["file"]["url"]
    start, _, text = url.partition("=")
    body, _, signature = text.partition(".")
    altered = {
        f"{body[:place]}{'A' if body[place] != 'A' else 'B'}{body[place + 1 :]}.{signature}"
        for place in range(0, len(body), 7)
    }
    altered |= {
        body,
        f"{body}.",
        f".{signature}",
        f"{body}.{signature[:-2]}",
        f"{body}.{signature}=",
        f"{text}.x",
    }
    altered |= {"", "x", "x" * 5000, "é.é", f"{body}=.{signature}", "bnVsbA.AA", "W10.AA"}
    for each in altered:
        answer = exchange.client.get(f"{start}=", params={"X-Amz-Signature": each})
        assert answer.status_code in (401, 403, 422), each
        assert b"PAR1" not in answer.content
    assert exchange.client.get(url).status_code == 200


@pytest.mark.parametrize(
    "path", ["health/schemas/visit/tables/open", "health/schemas/..%2f..%2f/tables/x", "x/schemas/y/tables/*"]
)
def test_there_is_no_such_table(exchange: Exchange, path: str) -> None:
    exchange.grant()
    refused(exchange.get(f"{AT}/{path}/metadata"), 404, "RESOURCE_DOES_NOT_EXIST")
