"""What a recipient's database would not do, in words that hold nothing of its data, and what to do about it."""

from __future__ import annotations

from typing import Final, NamedTuple, NoReturn

from schemas.errors import DeliveryError, DeliveryUnfit


class Failure(NamedTuple):
    message: str
    next_step: str
    lasting: bool = False


REFUSED: Final = Failure("the user or password was refused", "correct the connection's user and password")
UNREACHABLE: Final = Failure("the server cannot be reached", "check the connection's host and port")
NO_DATABASE: Final = Failure(
    "there is no such database", "correct the database's name in the connection", True
)
NO_SCHEMA: Final = Failure("there is no such schema", "have it made, or declare another table", True)
DENIED: Final = Failure(
    "the connection's user may not do this", "grant it what docs/delivery.md lists for its mode", True
)
LOST: Final = Failure("the connection was lost; nothing was changed", "it is tried again")
BUSY: Final = Failure("the table is locked, or it took too long; nothing was changed", "it is tried again")
FULL: Final = Failure("its disk is full; nothing was changed", "have space made there")
NEEDED: Final = Failure(
    "views or foreign keys depend on the table, which a swap would replace",
    "drop them, or declare the delivery with `mode: upsert`, which keeps the table",
    True,
)
VALUE: Final = Failure(
    "a value is longer or larger than its column takes",
    "let the table be made anew, or alter the column",
    True,
)
DOUBLE: Final = Failure(
    "a constraint of the table does not hold for what is delivered",
    "drop the constraint, or make the table anew",
    True,
)


def unknown(code: str) -> Failure:
    """A failure that we have no words for. The driver's own may quote a value, so only its code is told."""
    return Failure(f"the database reported {code}", "look for this code in the database's own log")


def fail(place: str, failure: Failure) -> NoReturn:
    kind = DeliveryUnfit if failure.lasting else DeliveryError
    raise kind(f"{place}: {failure.message}", next_step=failure.next_step) from None
