"""Delta Sharing, read-only: a share is a department, a schema its dataset, a table the dataset's policy.

`<profile>#civil_affairs.marriage.default` in a reader is the dataset `civil_affairs.marriage` under the policy
`default`. Versions are the sequence numbers of the table's snapshots. A reader gets URLs of Parquet files, each good
for a quarter of an hour; what a reader may not see is not listed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from exchange import looks, trail
from exchange.access import Access, access, readable
from exchange.delta import actions
from exchange.delta.hints import hint_of
from exchange.errors import ExchangeError, NotThere, Unfit
from exchange.links import Links
from exchange.web.house import Address, Caller, House, TheHouse
from lake import shown
from lake.shown import Plain, Version

router = APIRouter(prefix="/delta-sharing", tags=["Delta Sharing"])
PAGE = 500
NDJSON = "application/x-ndjson; charset=utf-8"
Capabilities = Annotated[str, Header(alias="delta-sharing-capabilities", max_length=1000)]
Item = dict[str, Any]


class Paged(BaseModel):
    """Which part of a list is asked for."""

    maxResults: int = Field(default=PAGE, ge=0, le=PAGE)
    pageToken: str = Field(default="", max_length=20, pattern=r"^[0-9]*$")

    def page(self, items: Sequence[Item]) -> Item:
        """`items`, and where there are more the token of the next page."""
        start = int(self.pageToken or 0)
        end = start + self.maxResults
        more = {"nextPageToken": str(end)} if end < len(items) else {}
        return {"items": list(items[start:end]), **more}


Page = Annotated[Paged, Query()]

# ── lists ─────────────────────────────────────────────────────────────────────────────────────────────────


@router.get("/shares", summary="共享 Shares")
def shares(house: TheHouse, caller: Caller, page: Page) -> Item:
    names = dict.fromkeys(_parts(each)[0] for each in readable(house.desk, caller))
    return page.page([{"name": name, "id": name} for name in names])


@router.get("/shares/{share}", summary="一个共享 One share")
def share(house: TheHouse, caller: Caller, share: str) -> Item:
    name = _parts(_of_share(house, caller, share)[0])[0]
    return {"share": {"name": name, "id": name}}


@router.get("/shares/{share}/schemas", summary="数据集 Schemas of a share")
def schemas(house: TheHouse, caller: Caller, share: str, page: Page) -> Item:
    names = dict.fromkeys(_parts(each)[:2] for each in _of_share(house, caller, share))
    return page.page([{"name": name, "share": department} for department, name in names])


@router.get("/shares/{share}/schemas/{schema}/tables", summary="数据表 Tables of a schema")
def tables(house: TheHouse, caller: Caller, share: str, schema: str, page: Page) -> Item:
    found = [each for each in _of_share(house, caller, share) if _parts(each)[1] == schema.lower()]
    if not found:
        raise NotThere("no such schema is shared with you")
    return page.page([_item(each) for each in found])


@router.get("/shares/{share}/all-tables", summary="全部数据表 All tables of a share")
def all_tables(house: TheHouse, caller: Caller, share: str, page: Page) -> Item:
    return page.page([_item(each) for each in _of_share(house, caller, share)])


def _parts(right: Access) -> tuple[str, str, str]:
    department, _, name = right.entry.id.partition(".")
    return department, name, right.policy


def _item(right: Access) -> Item:
    share, schema, name = _parts(right)
    return {"name": name, "schema": schema, "share": share, "shareId": share, "id": ".".join(_parts(right))}


def _of_share(house: House, caller: Caller, share: str) -> list[Access]:
    found = [each for each in readable(house.desk, caller) if _parts(each)[0] == share.lower()]
    if not found:
        raise NotThere("no such share is shared with you", next_step="GET /delta-sharing/shares lists yours")
    return found


# ── one table ─────────────────────────────────────────────────────────────────────────────────────────────


TABLE = "/shares/{share}/schemas/{schema}/tables/{table}"


def _right(house: TheHouse, caller: Caller, share: str, schema: str, table: str) -> Access:
    """The right to read the table of the path; what is refused stands in the log."""
    dataset, policy = f"{share}.{schema}".lower(), table.lower()
    try:
        return access(house.desk, caller, dataset, policy)
    except ExchangeError as error:
        trail.refused(house.desk, caller, "delta", table=(dataset, policy), error=error)
        raise


Right = Annotated[Access, Depends(_right)]


@router.head(TABLE, include_in_schema=False)
@router.get(f"{TABLE}/version", summary="版本 The newest version, or the first at or after a time")
def version(
    house: TheHouse, right: Right, startingTimestamp: Annotated[str | None, Query(max_length=40)] = None
) -> Response:
    found = _versions(house, right)
    if startingTimestamp is not None:
        since = actions.moment(startingTimestamp)
        found = [each for each in reversed(found) if each.at >= since]
    if not found:
        raise NotThere("there is no version at or after that time")
    return Response(headers={"Delta-Table-Version": str(found[0].number)})


@router.get(f"{TABLE}/metadata", summary="元数据 Schema and properties of a table")
def metadata(
    house: TheHouse,
    right: Right,
    version: Annotated[int | None, Query(ge=0)] = None,
    timestamp: Annotated[str | None, Query(max_length=40)] = None,
    capabilities: Capabilities = "",
) -> Response:
    form = actions.format_of(capabilities)
    at = _version(house, right, version, timestamp)
    return _lines(form, at, [actions.protocol(form), _metadata(house, right, form, at)])


class Asked(BaseModel):
    """What is asked of a table (Read Data from a Table, Request Body). Hints are best effort."""

    model_config = ConfigDict(extra="ignore")

    predicateHints: list[Annotated[str, Field(max_length=4_000)]] = Field(default=[], max_length=100)
    jsonPredicateHints: str | None = Field(default=None, max_length=20_000)
    limitHint: int | None = Field(default=None, ge=0)
    version: int | None = Field(default=None, ge=0)
    timestamp: str | None = Field(default=None, max_length=40)
    startingVersion: int | None = None

    @property
    def conditions(self) -> list[Any]:
        return [self.predicateHints, self.jsonPredicateHints]

    @property
    def pins(self) -> bool:
        return self.version is not None or self.timestamp is not None


def _linking(house: TheHouse, caller: Caller, address: Address) -> Links:
    return Links(house.desk, house.tables, caller, address)


Linking = Annotated[Links, Depends(_linking)]


@router.post(f"{TABLE}/query", summary="数据文件 Files of a table")
def query(
    house: TheHouse, linking: Linking, right: Right, asked: Asked, capabilities: Capabilities = ""
) -> Response:
    """Protocol, metadata and files, a line each, of the newest version or the one asked for."""
    form = actions.format_of(capabilities)
    if asked.startingVersion is not None:
        raise _no_changes()
    at = _version(house, right, asked.version, asked.timestamp)
    hints = asked.conditions if any(asked.conditions) else None
    said = trail.told(house.desk, linking.session, right, "delta", conditions=hints)
    said |= {"snapshot": str(at.snapshot)}
    looks.note_whole(house.desk, trail.log(house.desk, said, "attempt"), right)
    lines = [actions.protocol(form), _metadata(house, right, form, at)]
    files = list(_files(house, right, at, asked))
    for plain in files:
        lines.append(actions.file(form, plain, linking.to(right, plain), at if asked.pins else None))
    rows = sum(each.rows for each in files)
    trail.log(house.desk, said, "outcome", rows=rows, files=len(files), result="handed out")
    return _lines(form, at, lines)


@router.get(f"{TABLE}/changes", summary="变更数据（不提供） Change data feed: not offered")
def changes(right: Right) -> Response:
    raise _no_changes()


def _no_changes() -> Unfit:
    return Unfit(
        "changes between versions are not shared", next_step="read the newest version, or one by its number"
    )


def _files(house: House, right: Access, at: Version, asked: Asked) -> Iterator[Plain]:
    """The files that may hold what is wanted; with a limit no more than it takes to have as many rows."""
    hint = hint_of(asked.predicateHints, asked.jsonPredicateHints)
    left = asked.limitHint
    for plain in shown.plain_files(house.tables, right.table, at.snapshot, hint):
        if left is not None and left <= 0:
            return
        yield plain
        left = None if left is None else left - plain.rows


def _versions(house: House, right: Access) -> list[Version]:
    found = shown.versions(house.tables, right.table)
    if not found:
        raise right.unpublished
    return found


def _version(house: House, right: Access, number: int | None, timestamp: str | None) -> Version:
    """The version asked for: by number, by the time at which it was the newest, or the newest."""
    found = _versions(house, right)
    if number is not None and timestamp is not None:
        raise Unfit("a version and a timestamp are asked for", expected="one of them")
    if number is not None:
        found = [each for each in found if each.number == number]
    if timestamp is not None:
        until = actions.moment(timestamp)
        found = [each for each in found if each.at <= until]
    if not found:
        raise Unfit("there is no such version, or no more", next_step="read the newest one")
    return found[0]


def _metadata(house: House, right: Access, form: actions.Format, at: Version) -> Item:
    ident = shown.table_id(house.tables, right.table)
    return actions.metadata(form, ident, right, house.tables.schema(right.table), at)


def _lines(form: actions.Format, at: Version, lines: Sequence[Item]) -> Response:
    text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in lines)
    headers = {
        "Delta-Table-Version": str(at.number),
        "delta-sharing-capabilities": f"responseformat={form}",
        "Cache-Control": "no-store",
    }
    return Response(text, media_type=NDJSON, headers=headers)
