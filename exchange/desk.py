"""The desk at which cases are handled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from exchange.process import Request
from exchange.state import State
from lake.auditlog import AuditLog
from schemas.load import Catalogue


@dataclass(frozen=True)
class Desk:
    """`clock` gives aware UTC. `ended` is told of a grant that has ended and had a table of its own, for it to be taken
    away; nobody may read it by then."""

    state: State
    catalogue: Catalogue
    log: AuditLog
    clock: Callable[[], datetime]
    ended: Callable[[Request], object] = field(default=lambda _: None)
