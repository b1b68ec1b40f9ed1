"""Names and texts inside SQL, held against DuckDB and SQLite."""

from __future__ import annotations

import sqlite3

import duckdb
import pytest

from schemas.sql import literal, quote

AWKWARD = ['x"; DROP TABLE t; --', "it's", "a.b", "姓名", "back\\slash", "new\nline", "'' \"\""]


@pytest.mark.parametrize("name", AWKWARD)
def test_a_quoted_name_is_one_name(name: str) -> None:
    for connect in (duckdb.connect, sqlite3.connect):
        connection = connect(":memory:")
        connection.execute(f"CREATE TABLE t ({quote(name)} INTEGER)")
        assert connection.execute("SELECT * FROM t").description[0][0] == name
        connection.close()


@pytest.mark.parametrize("text", [*AWKWARD, ""])
def test_a_literal_is_its_text(text: str) -> None:
    for connect in (duckdb.connect, sqlite3.connect):
        connection = connect(":memory:")
        assert connection.execute(f"SELECT {literal(text)}").fetchall() == [(text,)]
        connection.close()


def test_a_nul_is_refused() -> None:
    for function in (quote, literal):
        with pytest.raises(ValueError, match="NUL"):
            function("a\0b")
    with pytest.raises(ValueError, match="empty"):
        quote("")
