"""Rows of a share table for one caller: columns, conditions and a place in one snapshot, streamed, and logged.

Conditions are put to the published, masked values alone, so that they tell nothing that the rows would not. What was
read is written into the audit log before the first row leaves and after the last one has, or when the reader goes away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from exchange import looks, trail
from exchange.access import Access
from exchange.accounts import Session
from exchange.desk import Desk
from exchange.errors import ExchangeError, NotThere, Unfit
from lake.datafiles import BATCH_ROWS
from lake.opened import Opened

COMPARISONS: Final = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
"""What a condition may ask, and Arrow's function for it."""
MOST_CONDITIONS: Final = 20
MOST_ROWS: Final = 100_000
"""Rows of one page."""


Holds = Callable[[pa.RecordBatch], pa.Array]
Test = tuple[str, Holds]
"""A column, and which rows of a batch hold."""


@dataclass(frozen=True)
class Condition:
    """`division:eq:320102`: a column, a comparison, a value in the column's text form."""

    column: str
    compare: str
    value: str


@dataclass(frozen=True)
class Asked:
    """What a caller asks of a table. `after` counts rows of the snapshot in its own order; `snapshot` pins it."""

    columns: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    snapshot: int | None = None
    after: int = 0
    limit: int = 1000


@dataclass
class Page:
    """Rows on their way out. `rows` may be read once; `next` is the place of the next page once they have been. Of
    `telling` columns it is noted whose rows they were."""

    snapshot: int
    schema: pa.Schema
    rows: Iterator[pa.RecordBatch]
    telling: Sequence[str] = ()
    next: int | None = None
    sent: int = field(default=0)


def condition(text: str) -> Condition:
    """Of `column:comparison:value`; Unfit for another form."""
    column, _, rest = text.partition(":")
    compare, colon, value = rest.partition(":")
    if not colon or compare not in COMPARISONS:
        raise Unfit(
            "a condition is malformed",
            expected=f"column:comparison:value, comparison of {', '.join(COMPARISONS)}",
        )
    return Condition(column, compare, value)


def read(desk: Desk, table: Opened | None, session: Session, access: Access, asked: Asked) -> Page:
    """A page of a table, None where there is none yet. NotThere where nothing was published yet, or the snapshot is no
    more; Unfit for an unknown column, a value that is not of the column's type, or a limit out of bounds. All of it is
    logged, the refusals too.
    """
    told = _told(desk, table, session, access, asked)
    try:
        page = _page(table, access, asked)
    except ExchangeError as error:
        trail.log(desk, told, "refused", rule=type(error).__name__)
        raise
    told |= {"snapshot": str(page.snapshot)}
    number = trail.log(desk, told, "attempt")
    if asked.limit > looks.FEW:
        looks.note_whole(desk, number, access)
    page.rows = _logged(desk, told, page, _noted(desk, number, access, page, page.rows))
    return page


def _page(table: Opened | None, access: Access, asked: Asked) -> Page:
    if table is None or table.current_snapshot is None:
        raise access.unpublished
    snapshot, schema = _snapshot(table, asked), table.schema
    columns = asked.columns or tuple(schema.names)
    tests = _tests(schema, asked.conditions)
    if unknown := sorted({*columns, *(each.column for each in asked.conditions)} - set(schema.names)):
        raise Unfit(f"no column {', '.join(unknown)[:200]}", expected=", ".join(schema.names))
    if not 1 <= asked.limit <= MOST_ROWS or asked.after < 0 or len(set(columns)) != len(columns):
        raise Unfit(
            "limit, place or columns are out of bounds", expected=f"1 to {MOST_ROWS} rows, each column once"
        )
    wanted = pa.schema([schema.field(name) for name in columns])
    telling = [] if asked.limit > looks.FEW else looks.telling(access.entry, access.policy)
    needed = list({*columns, *telling, *(each for each, _ in tests)})
    most = BATCH_ROWS if tests else min(BATCH_ROWS, asked.limit)
    only = ([each for each, _ in tests], lambda batch: bool(pc.any(_held(tests, batch)).as_py()))
    scanned = table.scan(needed, snapshot, skip=asked.after, rows=most, only=only if tests else None)
    page = Page(snapshot, wanted, iter(()), telling)
    page.rows = _cut(page, scanned, tests, asked)
    return page


def _snapshot(table: Opened, asked: Asked) -> int:
    """The snapshot asked for, or the newest; NotThere for one that upkeep has removed or that never was."""
    snapshots = [found for found, _ in table.snapshots()]
    if asked.snapshot is None:
        return snapshots[0]
    if asked.snapshot not in snapshots:
        raise NotThere("there is no such snapshot", next_step="begin again without `snapshot`")
    return asked.snapshot


def _tests(schema: pa.Schema, conditions: Sequence[Condition]) -> list[Test]:
    """Each condition as a function from a batch to which rows hold. Unfit where a value is not of the column's type."""
    if len(conditions) > MOST_CONDITIONS:
        raise Unfit("too many conditions", expected=f"{MOST_CONDITIONS} at most")
    found = []
    for each in conditions:
        if each.column not in schema.names:
            continue
        kind = schema.field(each.column).type
        try:
            value = pa.scalar(each.value).cast(kind)
        except pa.ArrowException:
            raise Unfit(
                f"a value for {each.column} is malformed", expected=f"a value of type {kind}"
            ) from None
        found.append((each.column, _test(each, value)))
    return found


def _test(each: Condition, value: pa.Scalar) -> Holds:
    function = COMPARISONS[each.compare]

    def holds(batch: pa.RecordBatch) -> pa.Array:
        return pc.fill_null(pc.call_function(function, [batch.column(each.column), value]), False)

    return holds


def _held(tests: Sequence[Test], batch: pa.RecordBatch) -> pa.Array:
    """Which rows of a batch all conditions hold for."""
    keep = pa.repeat(True, batch.num_rows)
    for _, holds in tests:
        keep = pc.and_(keep, holds(batch))
    return keep


def _cut(
    page: Page, scanned: pa.RecordBatchReader, tests: Sequence[Test], asked: Asked
) -> Iterator[pa.RecordBatch]:
    """The rows that hold, up to the limit; notes where the next page begins."""
    place, left = asked.after, asked.limit
    for batch in scanned:
        places = pc.indices_nonzero(_held(tests, batch))
        if len(places) >= left:
            last = places[left - 1].as_py()
            yield batch.take(places[:left])
            page.next = place + last + 1
            return
        if len(places):
            yield batch.take(places)
        left -= len(places)
        place += batch.num_rows


# ── the log ───────────────────────────────────────────────────────────────────────────────────────────────


def _told(desk: Desk, table: Opened | None, session: Session, access: Access, asked: Asked) -> trail.Told:
    """Of columns that the table does not have only how many they are: their names are the caller's own text."""
    conditions = [[each.column, each.compare, each.value] for each in asked.conditions]
    names = table.schema.names if table else ()
    known = [name for name in asked.columns if name in names]
    said = trail.told(desk, session, access, "api", columns=known, conditions=conditions) | {
        "after": asked.after
    }
    unknown = len(asked.columns) - len(known)
    return said | {"unknown_columns": unknown} if unknown else said


def _noted(
    desk: Desk, number: int, access: Access, page: Page, rows: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The rows with the columns asked for, once it is noted whose they are."""
    for batch in rows:
        if page.telling:
            looks.note(desk, number, access, page.telling, batch)
        yield batch.select(page.schema.names)


def _logged(
    desk: Desk, told: trail.Told, page: Page, rows: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    result = "broken off"
    try:
        for batch in rows:
            page.sent += batch.num_rows
            yield batch
        result = "done"
    finally:
        trail.log_after(desk, told, "outcome", rows=page.sent, result=result)
