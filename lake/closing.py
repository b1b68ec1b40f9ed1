"""What is closed at the end of a block, so that the first error is the one that is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def first_error(closed: Any) -> Iterator[None]:
    """Close it at the end of the block, if it can be closed. Where the block has raised, what closing raises says less
    (a footer does not fit a full disk either) and is not told in its place."""
    close = getattr(closed, "close", lambda: None)
    try:
        yield
    except BaseException:
        with suppress(Exception):
            close()
        raise
    close()
