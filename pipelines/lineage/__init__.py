"""Lineage as OpenLineage events: each stage is a run of a job, from the tables it reads to the one it writes, column by
column. `steps` says what is read and written, `events` puts it into OpenLineage's words.

Nothing is sent unless OpenLineage is configured by its own variables (`OPENLINEAGE_URL`, `OPENLINEAGE_CONFIG`,
`OPENLINEAGE__TRANSPORT__…`; law 8). An event holds names, types, masks and counts, never a value, and a server that
does not answer stops nothing.
"""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import TYPE_CHECKING, Final

from lake.records import Record
from pipelines.context import Context
from pipelines.lineage.steps import Turn

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient

__all__ = ["Turn", "configured", "tell"]

log = logging.getLogger(__name__)

CONFIGURED: Final = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT")


def configured() -> bool:
    """Whether somebody is to be told."""
    return any(name.startswith(CONFIGURED) for name in os.environ)


@cache
def _client() -> OpenLineageClient:
    from openlineage.client import OpenLineageClient

    return OpenLineageClient()


def tell(ctx: Context, turn: Turn, outcome: Record | str | None = None) -> None:
    """Tell where an attempt stands: it starts (None), is done (its record), has failed (a message of ours).
    Never raises: lineage tells of the data's way, it is no part of it."""
    if not configured():
        return
    try:
        from pipelines.lineage.events import event

        _client().emit(event(ctx, turn, outcome))
    except Exception as failure:
        log.warning(
            "lineage of %s %s could not be sent (%s)", turn.batch.dataset, turn.stage, type(failure).__name__
        )
