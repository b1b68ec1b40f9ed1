"""Page after page of an API, until it has no more: by page number, by offset, or by the cursor that each
page gives.

An API may give fewer records than were asked for, so a short page does not end the walk: the reported total
does, or a page without records. A page that was there before ends it with an error, as does a total that
changes on the way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.sources.http_client import Answer
from schemas.errors import SourceError
from schemas.model import CursorPaging, HttpSource, OffsetPaging, PagePaging

PAGES = 100_000
"""Pages of one batch at most."""
Get = Callable[[Mapping[str, str]], Answer]


@dataclass(frozen=True)
class Page:
    """One answer, how many records it holds, and the total it reports."""

    answer: Answer
    records: int
    total: int | None


@dataclass
class Walk:
    """How far we came."""

    pages: int = 0
    records: int = 0
    total: int | None = None
    cursor: str | None = None
    ended: bool = False
    digests: set[str] = field(default_factory=set)
    cursors: set[str] = field(default_factory=set)


def pages(source: HttpSource, params: Mapping[str, str], get: Get) -> Iterator[Page]:
    """Every page. SourceError for a page that repeats an earlier one, a changing total and an endless
    walk."""
    walk = Walk()
    while not walk.ended:
        if walk.pages >= PAGES:
            raise _failed(source, f"more than {PAGES} pages", "set a larger paging.page_size")
        answer = get({**params, **_position(source, walk)})
        page = Page(answer, _records(source, answer.document, walk), _total(source, answer.document))
        _advance(source, walk, page)
        yield page


def _position(source: HttpSource, walk: Walk) -> dict[str, str]:
    """The parameters that ask for the next page."""
    paging = source.paging
    match paging:
        case PagePaging():
            return {paging.page: str(paging.first + walk.pages), paging.size: str(paging.page_size)}
        case OffsetPaging():
            return {paging.offset: str(walk.records), paging.limit: str(paging.page_size)}
        case CursorPaging():
            limit = {paging.limit: str(paging.page_size)} if paging.limit else {}
            return limit | ({paging.cursor: walk.cursor} if walk.cursor else {})
    return {}


def _advance(source: HttpSource, walk: Walk, page: Page) -> None:
    walk.pages += 1
    walk.records += page.records
    if None not in {walk.total, page.total} and walk.total != page.total:
        raise _failed(
            source,
            f"the reported total changed from {walk.total} to {page.total} while we paged",
            "the source changed meanwhile, and records may be missed: run the batch again",
        )
    walk.total = page.total if walk.total is None else walk.total
    if isinstance(source.paging, CursorPaging):
        _follow(source, source.paging.next, walk, page.answer.document)
    else:
        complete = walk.total is not None and walk.records >= walk.total
        walk.ended = source.paging is None or not page.records or complete


def _follow(source: HttpSource, path: str, walk: Walk, document: Any) -> None:
    found = dig(document, path)
    if found is not None and not isinstance(found, str | int):
        raise _failed(source, f"the next cursor at {path} is neither text nor a number")
    walk.cursor = None if found in {None, ""} else str(found)
    if walk.cursor in walk.cursors:
        raise _failed(
            source, f"page {walk.pages} gives a cursor that was there before: the walk would not end"
        )
    walk.ended = walk.cursor is None
    walk.cursors.add(walk.cursor or "")


def _records(source: HttpSource, document: Any, walk: Walk) -> int:
    """How many records a page holds. SourceError where it holds no list of them, or those of an earlier
    page."""
    found = dig(document, source.records)
    where = f"at {source.records!r}" if source.records else "at the top"
    if not isinstance(found, list):
        raise _failed(
            source, f"page {walk.pages + 1} holds no list of records {where}", "correct source.records"
        )
    if found:
        text = json.dumps(found, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        if digest in walk.digests:
            raise _failed(
                source,
                f"page {walk.pages + 1} repeats an earlier page",
                "the API may not know the paging parameters: correct source.paging",
            )
        walk.digests.add(digest)
    return len(found)


def _total(source: HttpSource, document: Any) -> int | None:
    if source.total is None:
        return None
    found = dig(document, source.total)
    if isinstance(found, str) and found.isdecimal():
        return int(found)
    if isinstance(found, int) and not isinstance(found, bool):
        return found
    raise _failed(source, f"there is no count at {source.total!r}", "correct source.total")


def dig(document: Any, path: str) -> Any:
    """What stands at a dotted path of a JSON document; None if nothing does."""
    for key in path.split(".") if path else ():
        if not isinstance(document, dict) or key not in document:
            return None
        document = document[key]
    return document


def _failed(source: HttpSource, message: str, next_step: str | None = None) -> SourceError:
    return SourceError(message, file=source.path, next_step=next_step)
