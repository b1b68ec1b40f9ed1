"""Readers as they come from their makers read what is granted, and nothing else: PyIceberg, DuckDB, Delta Sharing's
own client, pandas."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import ForbiddenError

from exchange.requests import take
from tests.exchange.web.conftest import PEOPLE, Served

TABLE = "health.visit__default"


def catalogue(served: Served, who: str = "asker") -> Catalog:
    return load_catalog("city", type="rest", uri=f"{served.url}/iceberg", token=served.token(who))


def test_pyiceberg_reads_and_sees_no_deleted_row(served: Served) -> None:
    served.grant()
    served.delete_rows(0, 7, 199)
    city = catalogue(served)
    assert city.list_namespaces() == [("health",)]
    assert city.list_tables("health") == [("health", "visit__default")]
    table = city.load_table(TABLE)
    found = table.scan(selected_fields=("visit_no",)).to_arrow()["visit_no"].to_pylist()
    assert sorted(found) == served.ids()
    assert len(found) == 197
    first = table.snapshots()[0].snapshot_id
    assert table.scan(snapshot_id=first).to_arrow().num_rows == 200
    fetched = [each for each in served.exchange.log() if each["phase"] == "fetched"]
    assert [(each["door"], each["by"], each["file_rows"]) for each in fetched] == [("iceberg", "asker", 200)]


def test_credentials_end_with_their_grant_and_reach_one_table(served: Served) -> None:
    number = served.grant()
    served.grant("statistics")
    city = catalogue(served)
    table, other = city.load_table(TABLE), city.load_table("health.visit__statistics")
    theirs = [task.file.file_path for task in other.scan().plan_files()]
    assert other.io.new_input(theirs[0]).exists()
    with pytest.raises(OSError, match=r"ACCESS_DENIED|403"):
        table.io.new_input(theirs[0]).open().read()
    take(served.exchange.desk, PEOPLE["chief"], number, "revoke", {"reason": "用途不符"})
    with pytest.raises(OSError, match=r"ACCESS_DENIED|403"):
        table.scan().to_arrow()
    with pytest.raises(ForbiddenError):
        city.load_table(TABLE)
    with pytest.raises(ForbiddenError):
        catalogue(served, "other").load_table(TABLE)


def duck(served: Served, tmp_path: Path) -> Any:
    duckdb = pytest.importorskip("duckdb")
    extensions = pytest.importorskip("duckdb_extensions")
    connection = duckdb.connect(config={"extension_directory": str(tmp_path)})
    for name in ("avro", "httpfs", "iceberg"):
        extensions.import_extension(name, con=connection)
        connection.execute(f"LOAD {name}")
    connection.execute(f"CREATE SECRET city (TYPE iceberg, TOKEN '{served.token()}')")
    said = f"TYPE iceberg, ENDPOINT '{served.url}/iceberg', SECRET city"
    connection.execute(f"ATTACH 'city' AS city ({said})")
    return connection


def test_duckdb_reads_and_sees_no_deleted_row(served: Served, tmp_path: Path) -> None:
    served.grant()
    served.delete_rows(0, 7, 199)
    connection = duck(served, tmp_path)
    rows = connection.execute("SELECT visit_no FROM city.health.visit__default ORDER BY 1").fetchall()
    assert [number for (number,) in rows] == served.ids()
    total = connection.execute("SELECT sum(fee) FROM city.health.visit__default").fetchone()
    assert total is not None
    with pytest.raises(Exception, match=r"40[56]"):
        connection.execute("INSERT INTO city.health.visit__default SELECT * FROM city.health.visit__default")


SCRIPT = """
import json, sys, delta_sharing
profile, form = sys.argv[1], sys.argv[2] == "delta"
name = profile + "#health.visit.default"
read = delta_sharing.load_as_pandas
said = {
    "tables": [f"{t.share}.{t.schema}.{t.name}" for t in delta_sharing.SharingClient(profile).list_all_tables()],
    "rows": sorted(read(name, use_delta_format=form)["visit_no"]),
    "first": len(read(name, version=1, use_delta_format=form)),
    "limit": len(read(name, limit=3, use_delta_format=form)),
}
try:
    read(profile + "#health.visit.statistics", use_delta_format=form)
except Exception as error:
    said["refused"] = str(error)
json.dump(said, open(sys.argv[3], "w"))
"""


@pytest.mark.parametrize("form", ["parquet", "delta"])
def test_delta_sharings_client_reads_as_pandas(
    served: Served, clients: Path, tmp_path: Path, form: str
) -> None:
    served.grant()
    served.delete_rows(0, 7, 199)
    profile = {
        "shareCredentialsVersion": 1,
        "endpoint": f"{served.url}/delta-sharing",
        "bearerToken": served.token(),
    }
    (tmp_path / "city.share").write_text(json.dumps(profile))
    command = [str(clients), "-c", SCRIPT, str(tmp_path / "city.share"), form, str(tmp_path / "said")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads((tmp_path / "said").read_text())
    assert said["tables"] == ["health.visit.default"]
    assert said["rows"] == served.ids()
    assert (said["first"], said["limit"]) == (200, 3)
    assert "has no grant" in said["refused"]


def test_pandas_reads_the_data_api(served: Served) -> None:
    served.grant()
    url = f"{served.url}/api/v1/tables/health.visit/default/rows?format=csv&limit=1000"
    options = {"Authorization": f"Bearer {served.token()}"}
    frame = pd.read_csv(url, storage_options=options, dtype=str)
    assert sorted(frame["visit_no"]) == served.ids()
