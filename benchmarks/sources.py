"""The same residents in PostgreSQL, MariaDB, CSV and Parquet. Databases have names of their own and are dropped after.

`BENCH_POSTGRES` and `BENCH_MARIADB` are URLs of servers where a database may be created; the defaults are those of a
developer's machine. A source whose server does not answer is left out, with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import psycopg
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pymysql
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from benchmarks.residents import SCHEMA, residents

TABLE = "residents"
CURSOR = "updated_at"
"""The column by which changes are asked for: it has an index (docs/connections.md)."""
POSTGRES = "postgresql://postgres@127.0.0.1:5432/postgres"
MARIADB = "mysql://root@127.0.0.1:3306/mysql"
_NO_ANSWER = (psycopg.OperationalError, pymysql.err.OperationalError)
_LONG = {"address": 80, "remarks": 255, "name": 40}


@dataclass
class Sources:
    """Where each source lies: URLs of databases, paths of files; and why one is missing."""

    rows: int
    places: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


@contextmanager
def sources(
    folder: Path, rows: int, kinds: Collection[str], say: Callable[[str], None] = print
) -> Iterator[Sources]:
    """Write the files, load the databases that are among `kinds`, and drop these at the end."""
    made = Sources(rows)
    files = ("csv", "parquet") if "parquet" in kinds else ("csv",)
    made.places |= {kind: str(folder / f"{TABLE}.{kind}") for kind in files}
    _write_files(made.places, rows)
    made.sizes |= {kind: Path(path).stat().st_size for kind, path in made.places.items()}
    loads = {"postgresql": _load_postgresql, "mariadb": _load_mariadb}
    with databases([kind for kind in loads if kind in kinds]) as (urls, made.missing):
        for kind, url in urls.items():
            say(f"loading {rows:,} rows into {kind} …")
            try:
                made.sizes[kind] = loads[kind](url, Path(made.places["csv"]))
                made.places[kind] = url
            except _NO_ANSWER as error:
                made.missing[kind] = _why(kind, error)
        yield made


@contextmanager
def databases(kinds: Collection[str]) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """URLs of an empty database on each server, which are dropped at the end; and why one is missing."""
    name = f"xuanwu_bench_{uuid4().hex[:8]}"
    urls: dict[str, str] = {}
    missing: dict[str, str] = {}
    makes = {"postgresql": _make_postgresql, "mariadb": _make_mariadb}
    with ExitStack() as drops:
        for kind in kinds:
            try:
                urls[kind] = makes[kind](name, drops)
            except _NO_ANSWER as error:
                missing[kind] = _why(kind, error)
        yield urls, missing


def _why(kind: str, error: Exception) -> str:
    return f"{kind}: {type(error).__name__}: {str(error.args[0])[:200]}"


def _write_files(places: Mapping[str, str], rows: int) -> None:
    """CSV always, of which the databases are loaded; Parquet where it is asked for."""
    with ExitStack() as opened:
        writers: list[pacsv.CSVWriter | pq.ParquetWriter] = [
            opened.enter_context(pacsv.CSVWriter(places["csv"], SCHEMA))
        ]
        if "parquet" in places:
            writers.append(
                opened.enter_context(pq.ParquetWriter(places["parquet"], SCHEMA, compression="zstd"))
            )
        for batch in residents(rows):
            for writer in writers:
                writer.write_batch(batch)


def _type(name: str, kind: pa.DataType, text: str, time: str) -> str:
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    return time if pa.types.is_timestamp(kind) else f"{text}({_LONG.get(name, 20)})"


def _columns(text: str, time: str) -> str:
    return ", ".join(f"{field.name} {_type(field.name, field.type, text, time)}" for field in SCHEMA)


# ── PostgreSQL ────────────────────────────────────────────────────────────────────────────────────────────


def _make_postgresql(name: str, drops: ExitStack) -> str:
    server = os.environ.get("BENCH_POSTGRES", POSTGRES)
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    drops.callback(_drop_postgresql, server, name)
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _load_postgresql(url: str, csv: Path) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE {TABLE} ({_columns('varchar', 'timestamp')})".encode())
        with connection.cursor() as cursor:
            with (
                cursor.copy(f"COPY {TABLE} FROM STDIN (FORMAT csv, HEADER)".encode()) as copy,
                csv.open("rb") as lines,
            ):
                while block := lines.read(1 << 20):
                    copy.write(block)
            cursor.execute(f"ALTER TABLE {TABLE} ADD PRIMARY KEY (id_no)".encode())
            cursor.execute(f"CREATE INDEX ON {TABLE} ({CURSOR})".encode())
            cursor.execute(f"VACUUM (ANALYZE) {TABLE}".encode())
            cursor.execute("CHECKPOINT")
            size = cursor.execute(f"SELECT pg_total_relation_size('{TABLE}')".encode()).fetchone()
    return int(size[0]) if size else 0


def _drop_postgresql(server: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


# ── MariaDB ───────────────────────────────────────────────────────────────────────────────────────────────


def _mysql(url: URL) -> pymysql.Connection:
    return pymysql.connect(
        host=url.host or "127.0.0.1",
        port=url.port or 3306,
        user=url.username or "root",
        password=url.password or "",
        database=url.database,
        local_infile=True,
        autocommit=True,
        charset="utf8mb4",
    )


def _make_mariadb(name: str, drops: ExitStack) -> str:
    server = make_url(os.environ.get("BENCH_MARIADB", MARIADB))
    with closing(_mysql(server)) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    drops.callback(_drop_mariadb, server, name)
    return server.set(database=name).render_as_string(hide_password=False)


def _load_mariadb(url: str, csv: Path) -> int:
    """The null of a CSV file is an empty cell without quotes, which MariaDB takes for an empty text. Without a
    primary key the rows lie as they come: sorting two million by one takes its buffer pool many minutes."""
    with closing(_mysql(make_url(url))) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION net_read_timeout = 3600, net_write_timeout = 3600")
        cursor.execute(f"CREATE TABLE {TABLE} ({_columns('varchar', 'datetime(3)')})")
        read = ", ".join(f"@{field.name}" for field in SCHEMA)
        kept = ", ".join(f"{field.name} = NULLIF(@{field.name}, '')" for field in SCHEMA)
        cursor.execute(
            f"LOAD DATA LOCAL INFILE %s INTO TABLE {TABLE} CHARACTER SET utf8mb4 "
            f"FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' IGNORE 1 LINES ({read}) SET {kept}",
            (str(csv),),
        )
        cursor.execute(f"CREATE INDEX {CURSOR} ON {TABLE} ({CURSOR})")
        cursor.execute(f"ANALYZE TABLE {TABLE}")
        cursor.execute(
            "SELECT data_length + index_length FROM information_schema.tables WHERE table_schema = DATABASE()"
        )
        size = cursor.fetchone()
    return int(size[0]) if size else 0


def _drop_mariadb(server: URL, name: str) -> None:
    with closing(_mysql(server)) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name}")
