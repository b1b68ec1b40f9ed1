"""Names and texts inside SQL. Every statement we build goes through these two."""

from __future__ import annotations


def quote(identifier: str) -> str:
    """An identifier in ANSI double quotes, a quote in it doubled.

    Raises ValueError where it is empty or holds a NUL, which no database takes in a name.
    """
    if not identifier or "\0" in identifier:
        raise ValueError("an SQL identifier is empty or holds a NUL")
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in single quotes, a quote in it doubled (standard SQL: backslashes are themselves).

    Raises ValueError where it holds a NUL.
    """
    if "\0" in text:
        raise ValueError("an SQL text holds a NUL")
    return "'" + text.replace("'", "''") + "'"
