"""Bytes of files: by a URL with a pass in it, or in the manner of S3. Whole or a range, streamed, and nothing else.

The S3 face is what Iceberg's readers speak: `GET` and `HEAD` of `/xuanwu/<key>`, signed (`exchange.sigv4`) with the
credentials of a pass for one table. There is no list of keys, no other bucket and no writing.
"""

from __future__ import annotations

from email.utils import formatdate
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from exchange import looks, trail
from exchange.errors import ExchangeError, Forbidden, NotThere
from exchange.links import SIGNED
from exchange.passes import LONGEST, Bearer, bearer, key_pair
from exchange.sigv4 import Call, session_token
from exchange.web import pieces
from exchange.web.house import House, TheHouse, count_file
from lake import shown

router = APIRouter(tags=["文件 files"])


@router.head("/files/{name}", include_in_schema=False)
@router.get("/files/{name}", summary="一个文件 A file that a URL was given for", response_class=Response)
def handed(
    request: Request,
    house: TheHouse,
    name: str,
    text: Annotated[str, Query(alias=SIGNED, max_length=LONGEST)] = "",
) -> Response:
    """`name` is for people; the pass says which file."""
    who = bearer(house.desk, text)
    return _answer(request, house, who, who.shown.key)


@router.head(f"/{shown.BUCKET}/{{key:path}}", include_in_schema=False)
@router.get(
    f"/{shown.BUCKET}/{{key:path}}",
    summary="一张表的文件 A file of a table, in the manner of S3",
    response_class=Response,
)
def object_(request: Request, house: TheHouse, key: str) -> Response:
    desk = house.desk
    headers = {name.lower(): text for name, text in request.headers.items()}
    path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
    call = Call(request.method, path, query, headers)
    token = session_token(call, desk.clock(), lambda text: key_pair(desk, text))
    who = bearer(desk, token)
    if who.shown.key or not key.startswith(shown.prefix(who.access.table)):
        raise _elsewhere(house, who)
    return _answer(request, house, who, key)


def _elsewhere(house: House, who: Bearer) -> ExchangeError:
    """Credentials of one table were shown for what is not of it."""
    error = Forbidden("these credentials are for another table")
    table = who.access.entry.id, who.access.policy
    trail.refused(house.desk, who.session, who.shown.door, table=table, error=error)
    return error


def _answer(request: Request, house: House, who: Bearer, key: str) -> Response:
    count_file(house, request, who.session.principal.name)
    file = shown.file_of(house.tables, who.access.table, key)
    if file is None:
        raise NotThere("no snapshot of the table has such a file")
    headers = {
        "ETag": f'"{key.rpartition("/")[2]}"',
        "Last-Modified": formatdate(0, usegmt=True),
        "Content-Type": "application/octet-stream",
        "Cache-Control": "private, no-store",
    }
    return pieces.answer(request, file.path, headers, lambda: _note(house, who, key, file.rows))


# ── the log ───────────────────────────────────────────────────────────────────────────────────────────────


_seen = pieces.Seen[tuple[str, int, str]]()


def _note(house: House, who: Bearer, key: str, rows: int | None) -> None:
    """Log the first use of a pass for a data file, before a byte of it leaves."""
    what = (who.shown.token, who.shown.until, key)
    if rows is None:
        return
    with _seen.once(what) as new:
        if new:
            said = trail.told(house.desk, who.session, who.access, who.shown.door)
            number = trail.log(house.desk, said, "fetched", file=key.rpartition("/")[2], file_rows=rows)
            looks.note_whole(house.desk, number, who.access)
