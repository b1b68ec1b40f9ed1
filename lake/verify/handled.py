"""What people did about rows set aside: every act is in the audit log as it is, and every one in the log is there."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from lake.handling import Act, encoded, told
from lake.verify.copy import Copy, Finding
from lake.verify.journal import Log

FOLDER = "handling"


def check(copy: Copy, log: Log) -> Iterator[Finding]:
    """Rows and JSON of each act. An act that was only attempted need not be there, nor one that the log says was
    removed."""
    for path in (yield from copy.finished(FOLDER)):
        rows = f"{path.rpartition('.')[0]}.parquet"
        entry = log.handled.get(rows)
        if entry is None:
            yield Finding(path, "the log does not hold this act")
        elif path == rows:
            if copy.sha256(path) != entry["handled"]["sha256"]:
                yield Finding(path, "these are not the rows in the audit log: they were changed")
        elif not _told(copy, path, rows, log):
            yield Finding(path, "the act and its entry in the log tell different things")
    for path, entry in log.handled.items():
        missing = [p for p in (path, path.removesuffix(".parquet") + ".json") if not copy.exists(p)]
        if entry["phase"] == "outcome" and missing and not log.gone(path):
            yield Finding(missing[0], "it is missing")


def _told(copy: Copy, path: str, rows: str, log: Log) -> bool:
    data = copy.read(path)
    try:
        act = Act.model_validate_json(data)
    except ValidationError:
        return False
    own = act.name == rows.rpartition("/")[2].removesuffix(".parquet") and (rows, act.entry) in log.attempted
    whole = copy.exists(rows) and copy.sha256(rows) == act.sha256 and copy.sizes[rows] == act.size
    return own and whole and encoded(act) == data and told(act, rows, log.handled[rows])
