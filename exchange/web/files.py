"""Bytes of files: by a URL with a pass in it, or in the manner of S3. Whole or a range, streamed, and nothing else.

The S3 face is what Iceberg's readers speak: `GET` and `HEAD` of `/xuanwu/<key>`, signed (`exchange.sigv4`) with the
credentials of a pass for one table. There is no list of keys, no other bucket and no writing.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Generator
from email.utils import formatdate
from threading import Lock
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from exchange import looks, trail
from exchange.errors import ExchangeError, Forbidden, NotThere
from exchange.links import SIGNED
from exchange.passes import LONGEST, Bearer, bearer, key_pair
from exchange.sigv4 import Call, session_token
from exchange.web.house import House, TheHouse, count_file
from exchange.web.streaming import Streamed
from lake import shown, store

router = APIRouter(tags=["文件 files"])
BLOCK: Final = 1 << 20
SMALL: Final = 1 << 18
"""Bytes up to which a piece is answered in one, which costs half the turns of threads: most that readers ask for, such
as footers, are smaller. Memory is bounded by so much for each call at one time."""
_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


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
    size = store.size_of(file.path)
    headers = {
        "ETag": f'"{key.rpartition("/")[2]}"',
        "Last-Modified": formatdate(0, usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "Cache-Control": "private, no-store",
    }
    wanted = _range(request.headers.get("range"), size)
    if wanted is None:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    first, last, status = wanted
    if status == 206:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    headers["Content-Length"] = str(last - first + 1)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    _note(house, who, key, file.rows)
    blocks = _blocks(file.path, first, last)
    if last - first < SMALL:
        return Response(b"".join(blocks), status, headers)
    return Streamed(blocks, status, headers)


def _range(text: str | None, size: int) -> tuple[int, int, int] | None:
    """First and last byte and the status (RFC 9110, 14.1.2); None where there is nothing in it. A header of another
    form, or of several ranges, is as none."""
    parts = _RANGE.fullmatch(text) if text else None
    if parts is None or parts[1] == parts[2] == "":
        return 0, size - 1, 200
    if parts[1] == "":
        first, last = max(0, size - int(parts[2])), size - 1
    else:
        first, last = int(parts[1]), min(int(parts[2] or size), size - 1)
    return None if first >= size or last < first else (first, last, 206)


def _blocks(path: str, first: int, last: int) -> Generator[bytes]:
    filesystem, inner = store.filesystem(path)
    left = last - first + 1
    with filesystem.open_input_file(inner) as file:
        file.seek(first)
        while left and (block := file.read(min(BLOCK, left))):
            left -= len(block)
            yield block


# ── the log ───────────────────────────────────────────────────────────────────────────────────────────────


class _Seen:
    """Which files were asked for by which pass, the newest of them: each is logged once, not each of its pieces."""

    MOST: Final = 100_000

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, int, str], None] = OrderedDict()
        self._lock = Lock()

    def new(self, what: tuple[str, int, str]) -> bool:
        with self._lock:
            if what in self._seen:
                return False
            self._seen[what] = None
            if len(self._seen) > self.MOST:
                self._seen.popitem(last=False)
            return True

    def forget(self, what: tuple[str, int, str]) -> None:
        with self._lock:
            self._seen.pop(what, None)


_seen = _Seen()


def _note(house: House, who: Bearer, key: str, rows: int | None) -> None:
    """Log the first use of a pass for a data file, before a byte of it leaves."""
    what = (who.shown.token, who.shown.until, key)
    if rows is None or not _seen.new(what):
        return
    said = trail.told(house.desk, who.session, who.access, who.shown.door)
    try:
        number = trail.log(house.desk, said, "fetched", file=key.rpartition("/")[2], file_rows=rows)
        looks.note_whole(house.desk, number, who.access)
    except BaseException:
        _seen.forget(what)
        raise
