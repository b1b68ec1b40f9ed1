"""A lake on S3: URLs are the store's own, presigned, and Iceberg's readers still come through the exchange."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pyarrow.parquet as pq
import pytest

from schemas.settings import Settings
from tests.exchange.web.conftest import Served
from tests.exchange.web.test_delta import lines, query
from tests.s3 import KEY, S3

SCRIPT = """
import json, sys
from pyiceberg.catalog import load_catalog
table = load_catalog("city", **json.loads(sys.argv[1])).load_table("health.visit__default")
ids = sorted(table.scan().to_arrow()["visit_no"].to_pylist())
print(json.dumps({"ids": ids, "endpoint": table.io.properties["s3.endpoint"], "config": table.config}))
"""


@pytest.fixture
def settings(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    for name, value in s3.variables.items():
        monkeypatch.setenv(name, value)
    yield Settings(home=tmp_path / "home", lake=f"{s3.bucket('lake')}/doors")


def test_a_lake_on_s3(served: Served, s3: S3) -> None:
    served.grant()
    served.delete_rows(0, 7)
    for version, expected in ((None, 198), (1, 200)):
        *_, file = lines(query(served.exchange, version=version))
        url = urlsplit(file["file"]["url"])
        assert f"{url.scheme}://{url.netloc}" == s3.endpoint
        assert parse_qs(url.query)["X-Amz-Expires"] == ["900"]
        body = httpx.get(file["file"]["url"])
        assert (len(body.content), body.status_code) == (file["file"]["size"], 200)
        assert pq.read_table(io.BytesIO(body.content)).num_rows == expected
        other = url.path.rpartition("/")[0] + "/other.parquet"
        assert httpx.get(url._replace(path=other).geturl()).status_code == 403
        assert httpx.put(file["file"]["url"], content=b"x").status_code == 403
    # in a process of its own: two S3 clients of one process, of which one waits for the other, lock each other out
    said = {"uri": f"{served.url}/iceberg", "token": served.token(), "type": "rest"}
    clean = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, "-c", SCRIPT, json.dumps(said)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=clean)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["ids"] == served.ids()
    assert found["endpoint"] == served.url
    assert KEY not in done.stdout
