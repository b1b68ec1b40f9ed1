"""Readers as they come from their makers get their access tokens from the identity provider by themselves."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyiceberg.catalog import load_catalog

from tests.exchange.provider import Provider
from tests.exchange.provider.fixtures import MakeIssuer
from tests.exchange.web.conftest import Served
from tests.exchange.web.test_readers import TABLE


@pytest.fixture
def granted(served: Served, make_issuer: MakeIssuer) -> Served:
    served.exchange.house.issuer = make_issuer(clock=lambda: datetime.now(UTC))
    served.grant()
    return served


def by(served: Served) -> set[str]:
    return {each["by"] for each in served.exchange.log() if each["phase"] == "fetched"}


def test_pyiceberg(granted: Served, provider: Provider) -> None:
    said = {
        "client_id": "education-etl",
        "client_secret": "secret-of-education-etl",
        "token_url": f"{provider.issuer}/token",
    }
    auth = {"type": "oauth2", "oauth2": said}
    city = load_catalog("city", type="rest", uri=f"{granted.url}/iceberg", auth=auth)  # type: ignore[arg-type]
    assert city.load_table(TABLE).scan().to_arrow().num_rows == 200
    assert by(granted) == {"oidc:education-etl"}


def test_duckdb(granted: Served, provider: Provider, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    extensions = pytest.importorskip("duckdb_extensions")
    connection = duckdb.connect(config={"extension_directory": str(tmp_path)})
    for name in ("avro", "httpfs", "iceberg"):
        extensions.import_extension(name, con=connection)
        connection.execute(f"LOAD {name}")
    connection.execute(
        "CREATE SECRET city (TYPE iceberg, CLIENT_ID 'education-bi', CLIENT_SECRET 'secret-of-education-bi', "
        f"OAUTH2_SERVER_URI '{provider.issuer}/token', OAUTH2_SCOPE 'exchange.read')"
    )
    connection.execute(f"ATTACH 'city' AS city (TYPE iceberg, ENDPOINT '{granted.url}/iceberg', SECRET city)")
    rows = connection.execute("SELECT visit_no FROM city.health.visit__default").fetchall()
    assert len(rows) == 200
    assert by(granted) == {"oidc:education-bi"}


SCRIPT = """
import sys, delta_sharing
print(len(delta_sharing.load_as_pandas(sys.argv[1] + "#health.visit.default")))
"""


def test_delta_sharings_client(granted: Served, provider: Provider, clients: Path, tmp_path: Path) -> None:
    profile = {
        "shareCredentialsVersion": 2,
        "type": "oauth_client_credentials",
        "endpoint": f"{granted.url}/delta-sharing",
        "tokenEndpoint": f"{provider.issuer}/token",
        "clientId": "education-etl",
        "clientSecret": "secret-of-education-etl",
        "scope": "exchange.read",
    }
    (tmp_path / "city.share").write_text(json.dumps(profile))
    command = [str(clients), "-c", SCRIPT, str(tmp_path / "city.share")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout.strip()) == (0, "200"), done.stderr[-2000:]
    assert by(granted) == {"oidc:education-etl"}
