"""The HTTP data API (接口): what is shared, and its rows: chosen columns, conditions, pages of a pinned snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.status import HTTP_304_NOT_MODIFIED

from exchange.access import access, shared
from exchange.accounts import Session
from exchange.errors import ExchangeError
from exchange.process import Request as ShareRequest
from exchange.reading import MOST_CONDITIONS, MOST_ROWS, Asked, condition, read, refused
from exchange.requests import granted
from exchange.web.formats import FORMATS
from exchange.web.house import Caller, House, TheHouse
from lake.tables import identifier
from schemas.model import Entry
from schemas.policy import mask_plan, policies

router = APIRouter(prefix="/api/v1/tables", tags=["数据 data"])
Format = Literal["json", "jsonl", "csv", "arrow", "parquet"]


class Named(BaseModel):
    """A table's name in a path."""

    dataset: str = Field(max_length=100)
    policy: str = Field(max_length=64)


@router.get("", summary="共享目录 What is shared, and what you may read")
def tables(house: TheHouse, caller: Caller) -> list[dict[str, Any]]:
    """Every table of the share zone: its fields, share type and conditions, and whether the caller may read it now."""
    return [
        _described(house, caller, entry, policy)
        for entry in house.desk.catalogue.entries.values()
        for policy in policies(entry, "share")
    ]


@router.get("/{dataset}/{policy}", summary="一张表 One table")
def table(house: TheHouse, caller: Caller, named: Annotated[Named, Path()]) -> dict[str, Any]:
    entry = shared(house.desk, named.dataset, named.policy)
    return _described(house, caller, entry, named.policy)


def _described(house: House, caller: Session, entry: Entry, policy: str) -> dict[str, Any]:
    plan = mask_plan(entry, "share", policies(entry, "share")[policy])
    grant = _grant(house, caller, entry, policy)
    conditions = entry.share.conditions
    return {
        "dataset": entry.id,
        "policy": policy,
        "title": entry.title.model_dump(),
        "summary": entry.summary.model_dump(),
        "provider": entry.owner,
        "code": entry.code,
        "share": entry.share.type,
        "conditions": conditions.model_dump() if conditions else None,
        "readable": entry.share.type == "unconditional" or grant is not None,
        "grant": grant.number if grant else None,
        "snapshot": _text(house.tables.current_snapshot(identifier("share", entry.id, policy))),
        "fields": [
            {
                "name": name,
                "title": entry.fields[name].title.model_dump(),
                "type": entry.fields[name].type,
                "mask": mask.kind,
            }
            for name, mask in plan.items()
        ],
    }


def _grant(house: House, caller: Session, entry: Entry, policy: str) -> ShareRequest | None:
    department = caller.principal.department
    if not department or entry.share.type == "unconditional":
        return None
    return granted(house.desk, department, entry.id, policy)


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
        refused(house.desk, caller, named.dataset, named.policy, error)
        raise
    now = asked.snapshot or house.tables.current_snapshot(right.table)
    if now is not None and if_none_match == wanted.tag(now):
        return Response(status_code=HTTP_304_NOT_MODIFIED, headers={"ETag": wanted.tag(now)})
    page = read(house.desk, house.tables, caller, right, asked)
    kind, write = FORMATS[wanted.format]
    headers = {
        "ETag": wanted.tag(page.snapshot),
        "X-Snapshot": str(page.snapshot),
        "Cache-Control": "private, no-cache",
    }
    return StreamingResponse(_closing(write(page), page.rows), media_type=kind, headers=headers)


def _closing(chunks: Iterator[bytes], rows: Iterator[Any]) -> Iterator[bytes]:
    """A reader that goes away ends the reading too."""
    try:
        yield from chunks
    finally:
        rows.close()  # type: ignore[attr-defined]
