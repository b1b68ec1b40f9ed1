"""PySpark on `local[2]`, the same work: DataFrame functions where Spark has them, pandas UDFs over Arrow for the rest.

The table is read from the Parquet export of the source, because Spark's JDBC reader needs a driver jar that cannot be
had from a Python package index: Spark is spared the database. The checks are one aggregation and one flag a row by
Spark's own functions, not Great Expectations' Spark engine: that is quicker, and what Spark's users write. Curated and
share are Iceberg tables; open is Parquet and CSV.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import sys
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import snowpark_connect_deps_iceberg
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, StringType

from benchmarks.contenders.marks import Marks, job

FORMS = ("yyyy-MM-dd", "yyyyMMdd", "yyyy/MM/dd")
WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
ID = r"(?<!\d)[1-8]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?!\d)"
PHONE = r"(?<!\d)1[3-9]\d{9}(?!\d)"


def session(home: Path) -> SparkSession:
    """Two threads, 4 GB of heap, Arrow between the JVM and Python, an Iceberg catalogue in a folder."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    jars = ",".join(
        str(jar)
        for jar in Path(snowpark_connect_deps_iceberg.__path__[0]).rglob("iceberg-spark-runtime-*_2.12-*.jar")
    )
    settings = {
        "spark.jars": jars,
        "spark.driver.memory": "4g",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "8",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.lake.type": "hadoop",
        "spark.sql.catalog.lake.warehouse": str(home / "lake"),
        "spark.local.dir": str(home / "spill"),
    }
    builder = SparkSession.builder.master("local[2]").appName("bench")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def clean(raw: DataFrame, codes: dict[str, dict[str, str]]) -> DataFrame:
    """Typed and coded rows; `_unfit` marks those that do not convert."""
    out = raw
    for name in set(raw.columns) - {"contribution", "updated_at"}:
        out = out.withColumn(name, F.trim(name))
    for name in ("name", "address"):
        out = out.withColumn(name, F.regexp_replace(name, r"\s+", " "))
    out = out.withColumn("phone", F.regexp_replace("phone", r"\D", ""))
    unfit = F.lit(False)
    for name, labels in codes.items():
        pairs = [F.lit(text) for pair in labels.items() for text in pair]
        out = out.withColumn(name, F.create_map(*pairs)[F.col(name)])
        unfit = unfit | F.col(name).isNull()
    for name in ("birth_date", "registered_on"):
        out = out.withColumn(name, F.coalesce(*(day(F.col(name), form) for form in FORMS)))
        unfit = unfit | F.col(name).isNull()
    out = out.withColumn("updated_at", F.to_utc_timestamp("updated_at", "Asia/Shanghai"))
    return out.withColumn("_unfit", unfit)


def day(text: Column, form: str) -> Column:
    """Null where the text has another form: Spark 3's parser refuses what it would have read otherwise before."""
    shape = "^" + re.sub("[yMd]", r"\\d", form) + "$"
    return F.when(text.rlike(shape), F.to_date(text, form))


@F.pandas_udf(BooleanType())
def valid_id(ids: pd.Series) -> pd.Series:
    """GB 11643: eighteen characters, the last by MOD 11-2."""
    text = "".join(ids.fillna("").str.slice(0, 18).str.ljust(18, "?"))
    rows = np.frombuffer(text.encode("latin-1", "replace"), np.uint8).reshape(-1, 18)
    sums = (rows[:, :17].astype(np.int64) - 48) @ WEIGHTS % 11
    right = np.frombuffer(b"10X98765432", np.uint8)[sums] == rows[:, 17]
    return pd.Series(right & ids.str.fullmatch(r"\d{17}[\dX]").to_numpy(bool))


def checks(divisions: list[str]) -> dict[str, Column]:
    """The row-level checks of the benchmark's entry, true where a row fails."""
    between = F.col("contribution").between(0, 1_000_000)
    failed = {
        "household_no": ~F.col("household_no").rlike(r"^H\d{9}$"),
        "id_no": ~valid_id("id_no"),
        "birth_date": F.col("birth_date") < F.lit("1900-01-01").cast("date"),
        "division": ~F.col("division").isin(divisions),
        "phone": ~F.col("phone").rlike(r"^1[3-9]\d{9}$"),
        "contribution": ~between,
    }
    failed |= {
        f"{name} is null": F.col(name).isNull() for name in ("id_no", "name", "division", "updated_at")
    }
    return {name: F.coalesce(column, F.lit(False)) for name, column in failed.items()}


def tokens(key: bytes) -> Any:
    """HMAC-SM3 of each distinct value of a batch, its first 128 bits."""

    @F.pandas_udf(StringType())
    def made(values: pd.Series) -> pd.Series:
        known = {
            value: hmac.digest(key, value.encode(), "sm3")[:16].hex() for value in values.dropna().unique()
        }
        return values.map(known)

    return made


def stars(name: str, first: int, last: int = 0) -> Column:
    """The ends stay, each character between becomes a star; all do where those are fewer than four and than a third."""
    length = F.length(name)
    hidden = length - first - last
    end = [F.expr(f"right({name}, {last})")] if last else []
    middle = F.expr(f"repeat('*', length({name}) - {first + last})")
    shown = F.concat(F.substring(name, 1, first), middle, *end)
    few = (hidden < 4) & (3 * hidden < length)
    return F.when(few, F.expr(f"repeat('*', length({name}))")).otherwise(shown)


def share(rows: DataFrame, key: bytes) -> DataFrame:
    token = tokens(key)
    return rows.withColumns(
        {
            "id_no": token("id_no"),
            "name": stars("name", 1),
            "birth_date": F.date_format("birth_date", "yyyy-MM"),
            "address": stars("address", 6),
            "phone": stars("phone", 3, 4),
            "household_no": token("household_no"),
            "contribution": (F.round(F.col("contribution") / 100) * 100).cast("decimal(12,2)"),
            "remarks": F.regexp_replace(F.regexp_replace("remarks", ID, "[身份证号]"), PHONE, "[手机号]"),
        }
    )


def opened(rows: DataFrame) -> DataFrame:
    return rows.select(
        "division",
        stars("station", 6).alias("station"),
        F.date_format("registered_on", "yyyy").alias("registered_on"),
        F.date_format(F.from_utc_timestamp("updated_at", "Asia/Shanghai"), "yyyy-MM").alias("updated_at"),
    )


def main() -> None:
    work, marks = job(), Marks()
    home, key = Path(work["home"]), bytes.fromhex(work["token_key"])
    codes = json.loads(Path(work["codes"]).read_text())
    spark = session(home)
    marks.done("start Spark")
    spark.read.parquet(work["place"]).write.parquet(str(home / "landing"))
    raw = spark.read.parquet(str(home / "landing"))
    marks.done("collect")
    typed = clean(raw, codes)
    typed.write.parquet(str(home / "standard"))
    standard = spark.read.parquet(str(home / "standard"))
    standard.filter("_unfit").write.parquet(str(home / "quarantine-standardise"))
    marks.done("standardise")
    rules = checks(sorted(codes["division"].values()))
    severe = reduce(lambda a, b: a | b, (column for name, column in rules.items() if name != "phone"))
    fit = standard.filter("NOT _unfit").drop("_unfit")
    flagged = fit.withColumns({f"_{n}": column for n, column in enumerate(rules.values())})
    failures = (F.sum(F.col(f"_{n}").cast("int")) for n in range(len(rules)))
    counts = flagged.agg(F.count("*"), *failures).first()
    rows = fit.withColumn("_bad", severe)
    rows.filter("_bad").write.parquet(str(home / "quarantine-check"))
    marks.done("check")
    newest = Window.partitionBy("id_no").orderBy(F.desc("updated_at"))
    ranked = rows.filter("NOT _bad").drop("_bad").withColumn("_n", F.row_number().over(newest))
    kept = ranked.filter("_n = 1").drop("_n")
    kept.writeTo("lake.curated.residents").create()
    curated = spark.table("lake.curated.residents")
    marks.done("merge")
    share(curated, key).writeTo("lake.share.residents").create()
    marks.done("publish share")
    opened(curated).write.parquet(str(home / "open"))
    opened(curated).write.option("header", True).csv(str(home / "open_csv"))
    marks.done("publish open")
    spark.stop()
    marks.done("stop Spark")
    marks.report(
        rows=counts[0] if counts else 0,
        share=sorted(str(file) for file in (home / "lake" / "share").rglob("*.parquet")),
        downloads=sorted(str(file) for file in (home / "open").glob("*.parquet")),
    )


if __name__ == "__main__":
    main()
