"""Regular expressions are RE2's: the engine reads them, not Python, so it is the engine that is asked.

RE2 takes the same time whatever the text, and so it has no look-ahead, look-behind or back-reference; in turn it
knows scripts (`\\p{Han}`), which Python's `re` does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from schemas.sql import literal

if TYPE_CHECKING:
    import duckdb


def misread(pattern: str) -> str | None:
    """What is wrong with a regex; None where it can be read."""
    if _is_re2(pattern):
        return None
    if _is_pythons(pattern):
        return "is a regex of Perl's or Python's kind, which RE2 does not read"
    return "is no regular expression"


EXPECTED = "a regex as RE2 reads it, without look-ahead, look-behind and back-references"


@contextmanager
def engine_closed() -> Iterator[None]:
    """The engine, where one was opened, is closed afterwards: Airflow forks its tasks from whoever loaded a catalogue,
    and an open DuckDB must not be forked."""
    try:
        yield
    finally:
        if engine.cache_info().currsize:
            engine().close()
            engine.cache_clear()


@cache
def engine() -> duckdb.DuckDBPyConnection:
    """DuckDB, to be asked how it reads things; closed by `engine_closed`."""
    import duckdb  # 0.1 s, and only where a catalogue has a regex

    return duckdb.connect(config={"enable_external_access": False, "threads": 1})


@lru_cache(maxsize=10_000)
def _is_re2(pattern: str) -> bool:
    import duckdb

    if "\0" in pattern:
        return False
    try:
        engine().execute(f"SELECT regexp_matches('', {literal(pattern)})")
    except duckdb.Error:
        return False
    return True


def _is_pythons(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return True
