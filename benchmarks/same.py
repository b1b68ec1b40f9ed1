"""Whether contenders made the same rows: a digest of what they published, whatever its order and its files."""

from __future__ import annotations

import duckdb

from schemas.sql import literal, quote

SHARE = {"contribution": "DECIMAL(12,2)", "updated_at": "TIMESTAMPTZ"}
PLAIN = "VARCHAR"


def digest(files: list[str], columns: list[str], kinds: dict[str, str]) -> str:
    """Rows and the sum of their hashes, as `19968:1f…`. The columns are compared as text unless `kinds` says
    otherwise."""
    cells = ", ".join(f"{quote(name)}::{kinds.get(name, PLAIN)}" for name in columns)
    listed = ", ".join(map(literal, files))
    with duckdb.connect(config={"memory_limit": "2GB"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        row = connection.execute(
            f"SELECT count(*), sum(hash({cells})::HUGEINT) FROM read_parquet([{listed}])"
        ).fetchone()
    rows, total = row or (0, 0)
    return f"{rows}:{int(total or 0):x}"


def published(report: dict[str, list[str]]) -> tuple[str, str]:
    """The digests of a whole way's share table and open download."""
    from benchmarks.residents import SCHEMA

    parquet = [file for file in report["downloads"] if file.endswith(".parquet")]
    opened = ["division", "station", "registered_on", "updated_at"]
    return digest(report["share"], SCHEMA.names, SHARE), digest(parquet, opened, {})
