"""Where a dataset is collected from: a database, files, an HTTP API, or the lake itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field as Key

from schemas.model.basics import DatasetId, Duration, Model, Name


class DatabaseSource(Model):
    """A table or view of a department's database. Only the entry's columns are selected."""

    kind: Literal["database"]
    connection: Name
    table: str
    db_schema: str | None = Key(default=None, alias="schema")
    cursor: Name | None = Key(
        default=None, description="field that grows: collect only what is new since the last batch"
    )
    overlap: Duration = Key(
        default=timedelta(0),
        description="read again this far behind the last position, for rows committed late",
    )


class FileSource(Model):
    """Files of a department. The same bytes are not loaded twice, and the same name with other bytes is an error,
    unless the entry says `revise: true`."""

    kind: Literal["file"]
    connection: Name | None = Key(
        default=None, description="folder or s3:// prefix that `path` is relative to"
    )
    path: str = Key(
        description="one file or a glob; {date}, {year}, {month}, {day} and {hour} are the batch's"
    )
    format: Literal["csv", "tsv", "excel", "json", "jsonl", "parquet"]
    encoding: str | None = Key(
        default=None, description="declared text encoding; a guess is made and recorded without it"
    )
    delimiter: str | None = None
    quote: str = '"'
    header: int | None = Key(
        default=1, ge=1, description="row of the column names, counted after `skip`; null: none"
    )
    header_rows: int = Key(
        default=1, ge=1, description="a header of several rows (merged cells) is joined with `/`"
    )
    skip: int = Key(default=0, ge=0, description="rows above the header to leave out")
    footer: int = Key(default=0, ge=0, description="rows at the end to leave out")
    footer_pattern: str | None = Key(
        default=None, description="leave out rows whose first cell matches this regex"
    )
    columns: tuple[str, ...] | None = Key(
        default=None, description="column names of a file that has no header"
    )
    null_values: tuple[str, ...] = ("",)
    sheet: str | int | None = Key(
        default=None, description="Excel sheet by name or 1-based number; default the first"
    )
    records: str | None = Key(
        default=None, description="JSON path of the list of records, dotted: data.items"
    )
    member: str | None = Key(
        default=None, description="glob of the members of a zip archive to read; default all"
    )
    revise: bool = Key(
        default=False, description="a file of the same name with other bytes is a new revision"
    )
    settle: Duration = Key(
        default=timedelta(seconds=0), description="leave alone a file changed this recently"
    )


class PagePaging(Model):
    kind: Literal["page"]
    page: str = "page"
    size: str = "size"
    page_size: int = Key(default=100, ge=1)
    first: int = 1


class OffsetPaging(Model):
    kind: Literal["offset"]
    offset: str = "offset"
    limit: str = "limit"
    page_size: int = Key(default=100, ge=1)


class CursorPaging(Model):
    kind: Literal["cursor"]
    cursor: str = "cursor"
    next: str = Key(default="next", description="where the answer holds the next cursor, dotted")
    limit: str | None = "limit"
    page_size: int = Key(default=100, ge=1)


Paging = Annotated[PagePaging | OffsetPaging | CursorPaging, Key(discriminator="kind")]


class HttpSource(Model):
    """A JSON API. The connection holds base URL and authorisation header; pages land as received."""

    kind: Literal["http"]
    connection: Name
    path: str
    params: dict[str, str] = Key(default={})
    records: str = Key(
        default="data", description="where an answer holds its list of records, dotted; '' is the body"
    )
    total: str | None = Key(
        default=None, description="where an answer reports the count of all records, dotted"
    )
    paging: Paging | None = None
    rate: float | None = Key(default=None, gt=0, description="requests per second at most")
    timeout: Duration = timedelta(seconds=30)
    retries: int = Key(default=5, ge=0)


class LakeSource(Model):
    """A derived dataset: SQL over curated tables, which are named `department.dataset`."""

    kind: Literal["lake"]
    sql: str
    inputs: tuple[DatasetId, ...] = Key(min_length=1)
    when: Literal["all", "any"] = Key(
        default="all", description="run once every input has a new batch, or at each new batch of any"
    )


class ExchangeSource(Model):
    """A table that another platform of this kind shares with us (平台对平台): its rows of one snapshot, with the
    certificate of that snapshot. The connection holds its address and our token: `https://host/?header.Authorization=…`."""

    kind: Literal["exchange"]
    connection: Name
    dataset: DatasetId = Key(description="as the other platform names it")
    policy: str = Key(
        default="default",
        pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*(__grant_[0-9]+)?$",
        description="the policy that we read it under, or the table of our grant",
    )
    key: str = Key(
        pattern=r"^[0-9a-f]{16}$",
        description="id of the key that signs the other platform's certificates; nothing else is taken in",
    )
    origin: Literal["there", "here"] = Key(
        default="there",
        description="where its data were collected: there; here where our own flow back to us (回流)",
    )
    timeout: Duration = timedelta(seconds=60)
    retries: int = Key(default=5, ge=0)


Source = Annotated[
    DatabaseSource | FileSource | HttpSource | ExchangeSource | LakeSource, Key(discriminator="kind")
]
