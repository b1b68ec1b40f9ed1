"""`{date}` and the like in a path or a parameter: the start of the batch's interval, in the schedule's time
zone."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

from lake.batch import Batch
from schemas.errors import SourceError
from schemas.model import Entry

FORMS = {"date": "%Y-%m-%d", "year": "%Y", "month": "%m", "day": "%d", "hour": "%H"}
_NAME = re.compile(r"\{(\w*)\}")


def is_dated(text: str) -> bool:
    """Whether the text belongs to one interval."""
    return _NAME.search(text) is not None


def filled(text: str, entry: Entry, batch: Batch) -> str:
    """The text for this batch. SourceError for a placeholder that there is not."""
    zone = entry.schedule.timezone if entry.schedule else "Asia/Shanghai"
    start = batch.start.astimezone(ZoneInfo(zone))
    if unknown := [name for name in _NAME.findall(text) if name not in FORMS]:
        raise SourceError(
            f"there is no placeholder {{{unknown[0]}}}",
            dataset=entry.id,
            expected=", ".join(f"{{{name}}}" for name in FORMS),
        )
    return _NAME.sub(lambda match: start.strftime(FORMS[match[1]]), text)
