"""What the exchange refuses, as one small tree.

ExchangeError
├── Unauthenticated     who it is is not known (401)
├── Forbidden           it is known, and it may not (403)
│   └── Unplaced        known to the city's identity provider, without a department or a role here (403)
├── NotThere            there is no such thing, or not for you (404)
├── Unfit               what was said does not fit its form or its turn (409, 422)
└── Busy                too much at once (429, 503)
"""

from __future__ import annotations

from typing import Any

from schemas.errors import XuanwuError


class ExchangeError(XuanwuError):
    """The exchange refuses. `zh` says in Chinese what the message says, for people at its pages."""

    def __init__(self, message: str, *, zh: str = "", **more: Any) -> None:
        super().__init__(message, **more)
        self.zh = zh


class Unauthenticated(ExchangeError):
    """Nobody, an unknown token, an expired or a revoked one.

    `reason` and `who` (a name that was proved and is good for nothing any more) are for the audit log alone: the caller
    is told the same whatever is wrong."""

    def __init__(self, message: str, *, reason: str = "unknown", who: str = "", **more: Any) -> None:
        super().__init__(message, **more)
        self.reason, self.who = reason, who


class Forbidden(ExchangeError):
    """Known, and not permitted."""


class Unplaced(Forbidden):
    """The city's identity provider knows `who`; the exchange knows no department or no role of theirs."""

    def __init__(self, message: str, *, who: str, **more: Any) -> None:
        super().__init__(message, **more)
        self.reason, self.who = "unplaced", who


class NotThere(ExchangeError):
    """Nothing by this name that the asker may know of."""


class Unfit(ExchangeError):
    """A text is missing, a step is not this state's, or somebody else was first."""


class Busy(ExchangeError):
    """Too many requests at once."""
