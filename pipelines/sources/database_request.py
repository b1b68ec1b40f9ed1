"""What is asked of a department's table, what comes back, and how a failure is told without quoting a
value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import ColumnsMissing, SourceError
from schemas.findings import listed, near


@dataclass(frozen=True)
class Request:
    """Columns of one table. With `cursor`, only rows whose cursor is null or not below `since` (its exact
    text).

    `place` is the connection's URL without its secrets. With `odd_dates`, dates that no calendar library holds are
    looked for first, and a column that has one is read as text.
    """

    dataset: str
    place: str
    table: str
    schema: str | None
    columns: tuple[str, ...]
    cursor: str | None = None
    since: str | None = None
    odd_dates: bool = False

    @property
    def name(self) -> str:
        """The table as people call it, `schema.table`."""
        return f"{self.schema}.{self.table}" if self.schema else self.table


class Counted(NamedTuple):
    """How many rows the source says there are, and the cursor's highest value as text."""

    rows: int
    position: str | None


@dataclass(frozen=True)
class Rows:
    """`counted` tells what the source counted in the transaction that `reader` reads, once that has been read to its
    end: while the last rows are written the server has nothing else to do."""

    counted: Callable[[], Counted]
    reader: pa.RecordBatchReader
    notes: tuple[str, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    """Every column of the table with its declared type."""


class OddDates(Exception):
    """A date came that no calendar library holds, where none had been looked for (`Request.odd_dates`)."""


class Reason(NamedTuple):
    """Why a database did not answer, in words that hold nothing of its data, and what to do."""

    message: str
    next_step: str


REFUSED = Reason("the user or password was refused", "correct the connection's user and password")
UNREACHABLE = Reason("the server cannot be reached", "check the connection's host and port, then run again")
NO_HOST = Reason(
    "its host name cannot be found",
    "check the connection's host; in user and password special characters are percent-encoded, @ as %40",
)
BAD_OPTION = Reason(
    "the driver refuses an option of the connection's URL",
    "correct what follows the ?; in user and password special characters are percent-encoded, ? as %3F",
)
NO_TLS = Reason(
    "the server speaks no TLS, which the connection asks for",
    "correct `sslmode` in the connection's URL, or ask the department to switch TLS on",
)
NO_DATABASE = Reason("there is no such database", "correct the database's name in the connection")
DENIED = Reason("the user may not read it", "ask the department to grant SELECT to the connection's user")
NO_DATABASE_OR_DENIED = Reason(
    "there is no such database, or the user may not use it",
    "correct the database's name in the connection, or ask the department to grant SELECT to the connection's user",
)
LOST = Reason("the connection was lost; nothing was landed", "run the batch again when the source is back")
BUSY = Reason("it is locked or took too long", "run the batch again when the source is less busy")
FORM = Reason(
    "the cursor's last position does not fit its column", "check the entry's `cursor` against the table"
)


def failure(request: Request, reason: Reason) -> SourceError:
    """The error of a table that could not be read."""
    return SourceError(
        f"{request.name} at {request.place}: {reason.message}",
        dataset=request.dataset,
        next_step=reason.next_step,
    )


def unknown(code: str) -> Reason:
    """A failure that we have no words for. The driver's own may quote a value, so only its code is told."""
    return Reason(f"the database reported {code}", "look for this code in the database's own log")


def broken(state: str) -> Reason:
    """An expression that failed on the server, by its SQLSTATE: the server's words would quote the value."""
    return Reason(
        f"the view, or a computed column, failed on the server (SQLSTATE {state}); nothing was landed",
        "ask the department to correct it: the database's own log says which value it failed on",
    )


def miswritten(text: str) -> Reason | None:
    """What a URL that is no right one comes to, by the words of libpq and psycopg."""
    if "could not translate host name" in text or "failed to resolve host" in text:
        return NO_HOST
    bad = ("invalid URI query parameter", "invalid connection option", 'value: "')
    return BAD_OPTION if any(words in text for words in bad) else None


def no_table(request: Request, tables: Sequence[str]) -> SourceError:
    """The table or view is missing; `tables` are those that the user can see."""
    return SourceError(
        f"{request.name} at {request.place}: there is no such table or view{near(request.table, tables)}",
        dataset=request.dataset,
        expected=f"one of {listed(sorted(tables))}" if tables else "a table that the user may see",
        next_step="correct `table` or `schema` in the entry, or ask the department",
    )


def match(request: Request, found: Mapping[str, str], *, fold: bool = False) -> dict[str, str]:
    """Each requested column to the source's own spelling; `found` are its columns with their declared types, `fold` is
    for a database that ignores case in names.

    Raises ColumnsMissing naming every missing column, its near misses and the columns found.
    """
    folded = {name.casefold(): name for name in found} if fold else {}
    asked = {name: name if name in found else folded.get(name.casefold()) for name in request.columns}
    missing = [name for name, actual in asked.items() if actual is None]
    if missing:
        raise ColumnsMissing(
            f"{request.name} at {request.place} has no column "
            + ", no column ".join(f"`{name}`{near(name, found)}" for name in missing),
            missing=missing,
            found=found,
            dataset=request.dataset,
            field=missing[0],
            expected=f"columns found: {listed(list(found), 60)}",
            next_step="correct `source` of the field, or ask the department what became of the column",
        )
    return {name: actual for name, actual in asked.items() if actual is not None}


def drift(found: Sequence[str], matched: dict[str, str]) -> tuple[str, ...]:
    """Columns of the source that the entry does not name, as a note: they are not collected (law 1)."""
    unnamed = [name for name in found if name not in matched.values()]
    return (f"not in the entry, so not collected: {listed(unnamed, 60)}",) if unnamed else ()


def streamed(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.RecordBatchReader:
    """Batches under `schema`, which drops what a driver adds to its fields (metadata, extension types)."""

    def plain() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, plain())


_DAYS: Final = (-719_162, 2_932_896)
"""From 1970-01-01 to 0001-01-01, and to 9999-12-31."""
_DAY: Final = 86_400_000_000


def require_calendar(column: pa.Array) -> pa.Array:
    """The column, whose dates (days) and times (microseconds) are of the years 1 to 9999. Raises OddDates."""
    if pa.types.is_date(column.type):
        (first, last), numbers = _DAYS, column.view(pa.int32())
    elif pa.types.is_timestamp(column.type):
        (first, last), numbers = (_DAYS[0] * _DAY, (_DAYS[1] + 1) * _DAY - 1), column.view(pa.int64())
    else:
        return column
    found = pc.min_max(numbers).as_py()
    if found["min"] is not None and not first <= found["min"] <= found["max"] <= last:
        raise OddDates
    return column
