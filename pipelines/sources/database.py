"""A table of a department's database becomes one Parquet file of the landing zone.

How each database is read was measured on a million rows of seven columns:

- PostgreSQL (1.8 s) and SQLite (1.5 s) by ADBC, which takes part in our transaction;
- MySQL and MariaDB from the text that the server writes: PyMySQL asks, whole columns are taken from the bytes
  of its connection (value by value it was 7.8 s, now a quarter of that). ConnectorX takes 1.2 s, but fails on
  DECIMAL(30,10), on zero dates and on TIME beyond a day, with panics that print the value, and it cannot count
  in the transaction it reads in;
- any other SQLAlchemy URL, and one with a driver of its own (`postgresql+psycopg://`), by a streamed cursor
  (8.9 s).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from lake import landing
from lake.batch import Batch
from lake.landing import LandingWriter
from lake.records import Landed, LandedFile, SourceColumn
from pipelines.connections import redact
from pipelines.context import Context
from pipelines.drift.judge import judged
from pipelines.sources.database_cursor import since
from pipelines.sources.database_request import Counted, OddDates, Request, Rows
from schemas.errors import SettingsError, SourceError
from schemas.model import DatabaseSource, Entry


def collect_database(ctx: Context, entry: Entry, batch: Batch) -> Landed:
    """Land the entry's columns of its table: all rows, or those from the cursor's last position on.

    Raises SourceError where the source fails, changed its form, or sends another number of rows than it
    counted in the same transaction (law 2). Nothing is landed then.
    """
    if (done := landing.landed(ctx.settings, batch)) is not None:
        return done
    source = entry.source
    assert isinstance(source, DatabaseSource)  # noqa: S101
    url = ctx.connect(source.connection)
    before, start = since(ctx, entry, source, batch)
    request = _request(entry, source, redact(url), start)
    with landing.open_landing(ctx.settings, batch) as writer:
        try:
            file, counted, rows = _landed(writer, source, _parsed(url, source), request)
        except OddDates:
            file, counted, rows = _landed(
                writer, source, _parsed(url, source), replace(request, odd_dates=True)
            )
        landed = Landed(
            batch=batch,
            files=(file,),
            rows=file.rows,
            counted=counted.rows,
            position=counted.position or before,
            cursor=source.cursor,
            notes=rows.notes,
            columns=tuple(SourceColumn(name=name, type=kind) for name, kind in rows.columns.items()),
            collected_at=ctx.clock(),
        )
        return writer.commit(judged(ctx, entry, landed))


def _landed(
    writer: LandingWriter, source: DatabaseSource, url: URL, request: Request
) -> tuple[LandedFile, Counted, Rows]:
    with read(url, request) as rows:
        path, sha256, size, count = writer.add_rows(f"{source.table}.parquet", rows.reader)
        counted = rows.counted()
    _balance(request, counted.rows, count)
    file = LandedFile(path=path, origin=request.name, sha256=sha256, size=size, rows=count, format="parquet")
    return file, counted, rows


def read(url: URL, request: Request) -> AbstractContextManager[Rows]:
    """The rows of a request by the driver that suits the URL, imported where it is used."""
    if url.drivername in ("postgresql", "postgres"):
        from pipelines.sources.database_postgresql import read_postgresql

        return read_postgresql(url, request)
    if url.drivername == "sqlite":
        from pipelines.sources.database_sqlite import read_sqlite

        return read_sqlite(url, request)
    if url.drivername in ("mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"):
        from pipelines.sources.database_mysql import read_mysql

        return read_mysql(url, request)
    from pipelines.sources.database_any import read_any

    return read_any(url, request)


def _request(entry: Entry, source: DatabaseSource, place: str, start: str | None) -> Request:
    columns = tuple(dict.fromkeys(field.source or name for name, field in entry.collected.items()))
    cursor = entry.fields[source.cursor].source or source.cursor if source.cursor else None
    return Request(
        dataset=entry.id,
        place=place,
        table=source.table,
        schema=source.db_schema,
        columns=columns,
        cursor=cursor,
        since=start,
    )


def _parsed(url: str, source: DatabaseSource) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise SettingsError(
            f"connection {source.connection!r} is not a database's URL",
            expected="dialect://user:password@host:port/database, special characters percent-encoded",
        ) from None


def _balance(request: Request, counted: int, landed: int) -> None:
    if landed != counted:
        raise SourceError(
            f"{request.name} at {request.place}: the source counted {counted} rows and sent {landed}",
            dataset=request.dataset,
            expected="the same number, in one transaction",
            next_step="run the batch again; if it happens again, its engine has no snapshots (MyISAM)",
        )
