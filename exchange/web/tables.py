"""The HTTP data API (接口): what is shared, and its rows: chosen columns, conditions, pages of a pinned snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.status import HTTP_304_NOT_MODIFIED

from exchange.access import Access, access, readable, require_official, shared
from exchange.accounts import Session
from exchange.errors import ExchangeError, Forbidden, NotThere
from exchange.reading import MOST_CONDITIONS, MOST_ROWS, Asked, condition, read
from exchange.trail import refused
from exchange.web.description import described
from exchange.web.formats import FORMATS
from exchange.web.house import Address, Caller, House, TheHouse
from exchange.web.streaming import Streamed
from lake import certificates, store
from schemas.model import Narrowed
from schemas.policy import mask_plan, policies

router = APIRouter(prefix="/api/v1/tables", tags=["数据 data"])
Format = Literal["json", "jsonl", "csv", "arrow", "parquet"]


class Named(BaseModel):
    """A table's name in a path."""

    dataset: str = Field(max_length=100)
    policy: str = Field(max_length=64)


@router.get("", summary="共享目录 What is shared, and what you may read")
def tables(house: TheHouse, caller: Caller) -> list[dict[str, Any]]:
    """Every table of the share zone: its fields, share type and conditions, and whether the caller may read it now. A
    grant of some columns, or of the rows of a territory, has a table of its own."""
    require_official(caller)
    all_of_it = [
        Access(entry, policy, None)
        for entry in house.desk.catalogue.entries.values()
        for policy in policies(entry, "share")
    ]
    held = {each.table: each for each in readable(house.desk, caller)}
    shown = {each.table: each for each in all_of_it} | held
    return [_described(house, each, table in held) for table, each in shown.items()]


@router.get("/{dataset}/{policy}", summary="一张表 One table")
def table(house: TheHouse, caller: Caller, named: Annotated[Named, Path()]) -> dict[str, Any]:
    """As it would be read now: of a policy of which the caller is granted a part, that part's own table."""
    return _described(house, *_seen(house, caller, named))


@router.get("/{dataset}/{policy}/openapi.json", summary="接口说明 The OpenAPI description of one table")
def openapi(
    house: TheHouse, caller: Caller, address: Address, named: Annotated[Named, Path()]
) -> dict[str, Any]:
    """Its columns as they are published, with titles and examples, for tools that make a client of it."""
    right, _ = _seen(house, caller, named)
    found = house.tables.open(right.table)
    if found is None:
        raise right.unpublished
    return described(right, found.schema, address)


def _seen(house: House, caller: Session, named: Named) -> tuple[Access, bool]:
    """A table as the caller would read it, and whether they may now."""
    require_official(caller)
    entry = shared(house.desk, named.dataset, named.policy)
    try:
        return access(house.desk, caller, named.dataset, named.policy), True
    except Forbidden:
        if named.policy not in policies(entry, "share"):
            raise
    return Access(entry, named.policy, None), False


@router.get("/{dataset}/{policy}/certificate", summary="存证凭证 The certificate of a snapshot")
def certificate(
    house: TheHouse,
    caller: Caller,
    named: Annotated[Named, Path()],
    snapshot: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="default the newest")] = None,
) -> Response:
    """What was published, from what, how it balances, and the digest of every file, signed. `GET /api/v1/keys/{id}`
    gives the key; whose it is, ask whom it belongs to."""
    right = access(house.desk, caller, named.dataset, named.policy)
    found = snapshot or house.tables.current_snapshot(right.table)
    uri = store.join(house.tables.root, certificates.path_of(*right.table, found or 0))
    if found is None or not store.exists(uri):
        raise NotThere("there is no certificate of this snapshot", next_step="ask without `snapshot`")
    return Response(store.read_bytes(uri), media_type="application/json")


def _described(house: House, access: Access, readable: bool) -> dict[str, Any]:
    entry, policy = access.entry, policies(access.entry, "share")[access.policy]
    conditions = entry.share.conditions
    rows = policy.rows if isinstance(policy, Narrowed) else None
    return {
        "dataset": entry.id,
        "policy": access.policy,
        "title": entry.title.model_dump(),
        "summary": entry.summary.model_dump(),
        "provider": entry.owner,
        "code": entry.code,
        "subject": entry.subject,
        "key": list(entry.key),
        "schedule": entry.schedule.model_dump(include={"cron", "timezone"}) if entry.schedule else None,
        "share": entry.share.type,
        "conditions": conditions.model_dump() if conditions else None,
        "readable": readable,
        "grant": access.grant.number if access.grant else None,
        "rows": rows.model_dump() if rows else None,
        "snapshot": _text(house.tables.current_snapshot(access.table)),
        "fields": [
            {
                "name": name,
                "title": entry.fields[name].title.model_dump(),
                "type": entry.fields[name].type,
                "grade": entry.fields[name].grade,
                "element": entry.fields[name].element,
                "mask": mask.kind,
            }
            for name, mask in mask_plan(entry, "share", policy).items()
        ],
    }


def _text(snapshot: int | None) -> str | None:
    """A snapshot's id as text: it has more digits than a number of JSON keeps everywhere."""
    return None if snapshot is None else str(snapshot)


class Wanted(BaseModel):
    """What is asked of a table's rows."""

    model_config = ConfigDict(extra="forbid")

    columns: str | None = Field(default=None, max_length=4000, description="names with commas; all without")
    where: list[str] = Field(
        default=[], max_length=MOST_CONDITIONS, description="column:eq|ne|lt|le|gt|ge:value; all must hold"
    )
    snapshot: int | None = Field(default=None, description="of an earlier page; the newest without")
    after: int = Field(default=0, ge=0, le=2**62, description="`next` of the page before")
    limit: int = Field(default=1000, ge=1, le=MOST_ROWS)
    format: Format = "json"

    def asked(self) -> Asked:
        return Asked(
            columns=tuple(self.columns.split(",")) if self.columns else (),
            conditions=tuple(condition(each) for each in self.where),
            snapshot=self.snapshot,
            after=self.after,
            limit=self.limit,
        )

    def tag(self, snapshot: int | None) -> str:
        """The ETag of the answer: the same question of the same snapshot has the same."""
        told = self.model_dump_json(exclude={"snapshot"})
        return f'"{snapshot}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"'


@router.get("/{dataset}/{policy}/rows", summary="读取行 Rows", response_class=Response)
def rows(
    house: TheHouse,
    caller: Caller,
    named: Annotated[Named, Path()],
    wanted: Annotated[Wanted, Query()],
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Rows of one snapshot, in its own order. `X-Snapshot` pins the next pages; in JSON `next` is the place of the next
    one, null at the end.
    """
    try:
        right = access(house.desk, caller, named.dataset, named.policy)
        asked = wanted.asked()
    except ExchangeError as error:
        refused(house.desk, caller, "api", table=(named.dataset, named.policy), error=error)
        raise
    table = house.tables.open(right.table)
    now = asked.snapshot or (table.current_snapshot if table else None)
    if now is not None and if_none_match == wanted.tag(now):
        return Response(status_code=HTTP_304_NOT_MODIFIED, headers={"ETag": wanted.tag(now)})
    page = read(house.desk, table, caller, right, asked)
    kind, write = FORMATS[wanted.format]
    headers = {
        "ETag": wanted.tag(page.snapshot),
        "X-Snapshot": str(page.snapshot),
        "Cache-Control": "private, no-cache",
    }
    return Streamed(_closing(write(page), page.rows), media_type=kind, headers=headers)


def _closing(chunks: Iterator[bytes], rows: Iterator[Any]) -> Generator[bytes]:
    """A reader that goes away ends the reading too."""
    try:
        yield from chunks
    finally:
        rows.close()  # type: ignore[attr-defined]
