"""An Iceberg REST catalogue, read-only: a namespace is a department, a table `<dataset>__<policy>`.

`loadTable` gives the table's metadata under names of the exchange, and credentials for the files of that one table,
which any S3 client can use at the exchange itself (`exchange.web.files`): they are asked for their right at every use,
so that none outlives its grant, and reach nothing else, wherever the lake lies.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Depends, Header, Query, Response
from fastapi.responses import JSONResponse

from exchange import trail
from exchange.access import Access, access, readable
from exchange.accounts import Session
from exchange.errors import ExchangeError, NotThere
from exchange.passes import TABLE_LIVES, issue, key_pair
from exchange.web import shapes
from exchange.web.house import Address, Caller, House, TheHouse
from lake import s3, shown

router = APIRouter(prefix="/iceberg/v1", tags=["Iceberg REST"])
NAMESPACE: Final = "/namespaces/{namespace}"
TABLE: Final = f"{NAMESPACE}/tables/{{table}}"
MOST_FILES: Final = 1_000_000
"""A report of as many data files or more is not of one scan: it has as many digits as a person's number."""
OFFERED: Final = (
    "GET /v1/{prefix}/namespaces",
    "GET /v1/{prefix}/namespaces/{namespace}",
    "HEAD /v1/{prefix}/namespaces/{namespace}",
    "GET /v1/{prefix}/namespaces/{namespace}/tables",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics",
)
Item = dict[str, Any]


@router.get("/config", summary="配置 Configuration")
def config(caller: Caller, warehouse: Annotated[str, Query(max_length=200)] = "") -> Item:
    """There is one warehouse; its name is of no matter."""
    return {"defaults": {}, "overrides": {}, "endpoints": list(OFFERED)}


@router.get("/namespaces", summary="可读的部门 Departments of which you may read something")
def namespaces(house: TheHouse, caller: Caller, parent: Annotated[str, Query(max_length=200)] = "") -> Item:
    names = {} if parent else dict.fromkeys(_name(each)[0] for each in readable(house.desk, caller))
    return {"namespaces": [[name] for name in names], "next-page-token": None}


@router.head(NAMESPACE, include_in_schema=False)
@router.get(NAMESPACE, summary="一个部门 One department")
def namespace(house: TheHouse, caller: Caller, namespace: str) -> Item:
    _of_namespace(house, caller, namespace)
    return {"namespace": [namespace], "properties": {}}


@router.get(f"{NAMESPACE}/tables", summary="可读的表 Tables of a department that you may read")
def tables(house: TheHouse, caller: Caller, namespace: str) -> Item:
    found = [_name(each) for each in _of_namespace(house, caller, namespace)]
    return {
        "identifiers": [{"namespace": [space], "name": name} for space, name in found],
        "next-page-token": None,
    }


def _name(right: Access) -> tuple[str, str]:
    department, _, dataset = right.entry.id.partition(".")
    return department, f"{dataset}__{right.policy}"


def _of_namespace(house: House, caller: Caller, namespace: str) -> list[Access]:
    found = [each for each in readable(house.desk, caller) if _name(each)[0] == namespace]
    if not found:
        raise NotThere("no such namespace holds a table for you")
    return found


# ── one table ─────────────────────────────────────────────────────────────────────────────────────────────


def _right(house: TheHouse, caller: Caller, namespace: str, table: str) -> Access:
    """The right to read the table of the path; what is refused stands in the log."""
    dataset, _, policy = table.partition("__")
    name = f"{namespace}.{dataset}"
    try:
        return access(house.desk, caller, name, policy)
    except ExchangeError as error:
        trail.refused(house.desk, caller, "iceberg", table=(name, policy), error=error)
        raise


Right = Annotated[Access, Depends(_right)]


@router.head(TABLE, include_in_schema=False)
def exists(house: TheHouse, right: Right) -> Response:
    _published(house, right)
    return Response(status_code=204)


@dataclass(frozen=True)
class _Giving:
    """Credentials for the files of one table, for one caller."""

    house: House
    session: Session
    right: Access
    address: str

    def credentials(self) -> dict[str, str]:
        """As a reader's S3 client takes them."""
        text, until = issue(self.house.desk, self.session, self.right, "iceberg", TABLE_LIVES)
        ident, secret = key_pair(self.house.desk, text)
        region = s3.region()
        return {
            "s3.endpoint": self.address,
            "s3.access-key-id": ident,
            "s3.secret-access-key": secret,
            "s3.session-token": text,
            "s3.session-token-expires-at-ms": str(until * 1000),
            "s3.region": region,
            "client.region": region,
            "s3.path-style-access": "true",
        }

    def stored(self) -> list[Item]:
        prefix = f"s3://{shown.BUCKET}/{shown.prefix(self.right.table)}"
        return [{"prefix": prefix, "config": self.credentials()}]


def _giving(house: TheHouse, caller: Caller, right: Right, address: Address) -> _Giving:
    return _Giving(house, caller, right, address)


Giving = Annotated[_Giving, Depends(_giving)]


@router.get(TABLE, summary="载入一张表 Load a table")
def load(
    house: TheHouse,
    giving: Giving,
    snapshots: Literal["all", "refs"] = "all",
    if_none_match: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """The metadata, and credentials for the files. The ETag is that of the metadata, and changes twice in the life
    of credentials: who keeps an answer by it has credentials that still hold."""
    right = giving.right
    _published(house, right)
    place, metadata = shown.metadata(house.tables, right.table)
    tag = _tag(house, place, snapshots)
    if if_none_match == tag:
        return Response(status_code=304, headers={"ETag": tag})
    current = metadata["current-snapshot-id"]
    said = trail.told(house.desk, giving.session, right, "iceberg") | {"snapshot": str(current)}
    trail.log(house.desk, said, "attempt")
    if snapshots == "refs":
        named = {each["snapshot-id"] for each in metadata["refs"].values()}
        metadata["snapshots"] = [each for each in metadata["snapshots"] if each["snapshot-id"] in named]
    stored = giving.stored()
    body = {
        "metadata-location": place,
        "metadata": metadata,
        "config": stored[0]["config"],
        "storage-credentials": stored,
    }
    rows = house.tables.row_count(right.table, current)
    trail.log(house.desk, said, "outcome", rows=rows, result="handed out")
    return JSONResponse(body, headers={"ETag": tag, "Cache-Control": "private, no-cache"})


def _tag(house: House, place: str, snapshots: str) -> str:
    half = int(TABLE_LIVES.total_seconds() // 2)
    return f'"{place.rpartition("/")[2]}-{snapshots}-{int(house.desk.clock().timestamp()) // half}"'


@router.get(f"{TABLE}/credentials", summary="更新凭证 New credentials for a table's files")
def credentials(house: TheHouse, giving: Giving) -> Item:
    trail.log(house.desk, trail.told(house.desk, giving.session, giving.right, "iceberg"), "attempt")
    return {"storage-credentials": giving.stored()}


@router.post(f"{TABLE}/metrics", status_code=204, summary="扫描报告 What a reader's engine scanned")
def metrics(house: TheHouse, caller: Caller, right: Right, report: Annotated[Item, Body()]) -> Response:
    """Kept in the audit log: snapshot, columns and files of a scan, its filter as a keyed digest. A reader's own word,
    of which only what the table has is kept: a number may be a person's."""
    columns = report.get("projected-field-names")
    named = [each for each in columns if isinstance(each, str)] if isinstance(columns, list) else []
    known = [each for each in named if each in right.entry.fields]
    asked = report.get("filter") and json.dumps(report["filter"])
    said = trail.told(house.desk, caller, right, "iceberg", columns=known, conditions=asked)
    counted = report.get("metrics")
    trail.log(
        house.desk,
        said,
        "reported",
        snapshot=_snapshot(house, right, report.get("snapshot-id")),
        data_files=_files(counted.get("result-data-files")) if isinstance(counted, dict) else None,
    )
    return Response(status_code=204)


def _snapshot(house: House, right: Access, value: Any) -> str:
    """The snapshot, if it is one of the table's."""
    number = _number(value)
    there = any(number == snapshot for snapshot, _ in house.tables.snapshots(right.table))
    return str(number) if there else ""


def _files(value: Any) -> int | None:
    number = _number(value)
    return number if number is not None and 0 <= number < MOST_FILES else None


def _number(value: Any) -> int | None:
    """A whole number, alone or as the value of one of Iceberg's counters."""
    found = value.get("value") if isinstance(value, dict) else value
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _published(house: House, right: Access) -> None:
    if house.tables.current_snapshot(right.table) is None:
        raise right.unpublished


@router.api_route(
    "/{rest:path}", methods=["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"], include_in_schema=False
)
def other(caller: Caller, rest: str) -> Response:
    """Whatever changes a table, and whatever is not offered."""
    return shapes.iceberg(406, "this catalogue is for reading: tables are changed by the city's own pipeline")
