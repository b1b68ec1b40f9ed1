"""What stands in the audit log before it counts, and then did not come to be: the database could not keep it, such as
on a full disk. The log is told that too, so that nobody is said to have taken something out of the database.

A process that is killed in between tells nothing, nor does one that lost the database while it committed: whether it
was kept nobody knows there. `xuanwu verify --ledger` tells those, and people judge them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import sqlalchemy as sa

from exchange.desk import Desk
from exchange.state import unless_kept
from schemas.errors import XuanwuError

UNDONE: Final = "undone"


def log_beside(desk: Desk, connection: sa.Connection, entry: dict[str, Any]) -> None:
    """Log what this transaction does. Should it not be kept, the log gets an entry that names the first by its index.
    LakeError where it cannot be written."""
    index = desk.log.append(entry)

    def undone() -> None:
        with suppress(XuanwuError):
            desk.log.append({"action": UNDONE, "entry": index})

    unless_kept(connection, undone)
