"""Apache Spark, as it comes from its makers, reads what is granted by the exchange's Iceberg catalogue, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from exchange.requests import take
from tests.exchange.web.conftest import PEOPLE, Served, clock, exchange, served
from tests.spark.cluster import BIN, environment
from tests.waiting import PROGRAM, line

__all__ = ["clock", "exchange", "served"]
pytestmark = pytest.mark.timeout(1200)
READERS = BIN.parent / "readers"
JARS = (
    "snowpark_connect_deps_iceberg/jars/iceberg-spark-runtime-3.5_2.12-*.jar",
    "bodo_iceberg_connector/jars/libs/*-2.29.26.jar",
    "bodo_iceberg_connector/jars/libs/eventstream-*.jar",
    "bodo_iceberg_connector/jars/libs/reactive-streams-*.jar",
    "bodo_iceberg_connector/jars/libs/httpclient-4*.jar",
    "bodo_iceberg_connector/jars/libs/httpcore-4*.jar",
)
"""Iceberg's runtime, and the AWS SDK for Java, which elsewhere is iceberg-aws-bundle."""
SCRIPT = """
import json, sys
from pyspark.sql import SparkSession

asked = json.loads(sys.argv[1])
building = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
for name, value in asked["settings"].items():
    building = building.config(name, value)
spark = building.getOrCreate()
table = "city.health.visit__default"
print(json.dumps({"tables": [row.tableName for row in spark.sql("SHOW TABLES IN city.health").collect()]}))
rows = sorted(row.visit_no for row in spark.sql(f"SELECT visit_no FROM {table}").collect())
print(json.dumps({"rows": rows}), flush=True)
first = spark.sql(f"SELECT snapshot_id FROM {table}.snapshots ORDER BY committed_at").first()[0]
print(json.dumps({"first": spark.sql(f"SELECT * FROM {table} VERSION AS OF {first}").count()}), flush=True)
for name, text in {
    "write": f"INSERT INTO {table} SELECT * FROM {table}",
    "drop": f"DROP TABLE {table}",
    "other": "SELECT * FROM city.health.visit__statistics",
}.items():
    try:
        spark.sql(text).collect()
    except Exception as error:
        print(json.dumps({name: str(error)[:2000]}), flush=True)
loaded = spark.table(table)
sys.stdin.readline()
try:
    print(json.dumps({"revoked": str(loaded.collect())[:20]}))
except Exception:
    print(json.dumps({"revoked": "refused"}))
"""


def settings(served: Served) -> dict[str, str]:
    """What the department's page says."""
    if not (READERS / ".made").exists():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("`make test-spark` sets up the jars")
    jars = [str(path) for pattern in JARS for path in sorted(READERS.glob(pattern))]
    city = "spark.sql.catalog.city"
    return {
        "spark.jars": ",".join(jars),
        city: "org.apache.iceberg.spark.SparkCatalog",
        f"{city}.type": "rest",
        f"{city}.uri": f"{served.url}/iceberg",
        f"{city}.token": served.token(),
        f"{city}.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
    }


def test_spark_reads_what_is_granted_and_sees_no_deleted_row(served: Served, tmp_path: Path) -> None:
    number = served.grant()
    served.delete_rows(0, 7, 199)
    variables = os.environ | environment() | {"PYTHONPATH": ""}
    command = [str(BIN / "python"), "-c", SCRIPT, json.dumps({"settings": settings(served)})]
    spark = subprocess.Popen(
        command, env=variables, cwd=tmp_path, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=(tmp_path / "stderr").open("w"),
    )  # fmt: skip
    said: dict[str, Any] = {}
    while "other" not in said and (told := line(spark, PROGRAM)):
        said |= json.loads(told)
    assert "other" in said, (tmp_path / "stderr").read_text()[-3000:]
    take(served.exchange.desk, PEOPLE["chief"], number, "revoke", {"reason": "用途不符"})
    last, _ = spark.communicate("go\n", timeout=300)
    assert said["tables"] == ["visit__default"]
    assert (said["rows"], said["first"]) == (served.ids(), 200)
    assert all(word in said for word in ("write", "drop")), said
    assert "Forbidden" in said["other"] or "not found" in said["other"].lower(), said["other"]
    assert json.loads(last.splitlines()[-1]) == {"revoked": "refused"}
    reads = [each for each in served.exchange.log() if each["door"] == "iceberg" and each["by"] == "asker"]
    assert {"attempt", "outcome", "fetched"} <= {each["phase"] for each in reads}
