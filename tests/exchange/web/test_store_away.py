"""The object store goes away while a served exchange is read, and comes back: told plainly, and nothing is read unlogged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lake.verify import Copy, journal
from schemas.settings import Settings
from tests.exchange.web.conftest import Served
from tests.exchange.web.test_crowd import ROWS
from tests.s3 import S3, Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "weed"
    folder.mkdir()
    made = Server(folder)
    yield made
    made.stop()


@pytest.fixture
def settings(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    s3: S3 = server.start()
    for name, value in s3.variables.items() | {("AWS_MAX_ATTEMPTS", "2")}:
        monkeypatch.setenv(name, value)
    return Settings(home=tmp_path / "home", lake=f"{s3.bucket('lake')}/doors")


def test_a_store_that_goes_away_and_comes_back(served: Served, server: Server) -> None:
    served.grant()
    headers = {"Authorization": f"Bearer {served.token()}"}
    iceberg = "/iceberg/v1/namespaces/health/tables/visit__default"
    with httpx.Client(base_url=served.url, headers=headers, timeout=120) as client:
        url = _file(client)
        for path in (ROWS, iceberg, "/health"):
            assert client.get(path).status_code == 200
        before = len(served.exchange.log())
        server.kill()
        for path in (ROWS, "/health"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert "the store does not answer" in answer.json()["detail"]
            assert served.exchange.city.settings.lake_root not in answer.text
        assert client.get(iceberg).json()["error"]["type"] == "ServiceUnavailableException"
        assert client.get("/metrics").status_code == 200
        assert client.get("/api/v1/requests").status_code == 200
        server.start()
        for path in (ROWS, iceberg, "/health"):
            assert client.get(path).status_code == 200
        assert httpx.get(url).status_code == 200
    reads = Counter(each["phase"] for each in served.exchange.log()[before:])
    assert reads == {"attempt": 2, "outcome": 2}
    log = served.exchange.desk.log
    assert list(journal.replay(Copy(log.settings.lake_root), log.signer.trust, None)) == []


def _file(client: httpx.Client) -> str:
    asked = client.post("/delta-sharing/shares/health/schemas/visit/tables/default/query", json={})
    return str(json.loads(asked.text.splitlines()[-1])["file"]["url"])
