"""What the exchange refuses, as one small tree.

ExchangeError
├── Unauthenticated     who it is is not known (401)
├── Forbidden           it is known, and it may not (403)
├── NotThere            there is no such thing, or not for you (404)
├── Unfit               what was said does not fit its form or its turn (409, 422)
└── Busy                too much at once (429, 503)
"""

from __future__ import annotations

from schemas.errors import XuanwuError


class ExchangeError(XuanwuError):
    """The exchange refuses."""


class Unauthenticated(ExchangeError):
    """Nobody, an unknown token, an expired or a revoked one."""


class Forbidden(ExchangeError):
    """Known, and not permitted."""


class NotThere(ExchangeError):
    """Nothing by this name that the asker may know of."""


class Unfit(ExchangeError):
    """A text is missing, a step is not this state's, or somebody else was first."""


class Busy(ExchangeError):
    """Too many requests at once."""
