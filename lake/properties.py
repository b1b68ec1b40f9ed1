"""What a snapshot says of itself, for whoever reads the table: properties named `xuanwu.<word-word>`.

Iceberg's own properties are written with hyphens, and so are these. Code says the words with underscores, as the
fields of a record are named: `interval_end` is `xuanwu.interval-end` in the table. Values are ids, counts and
digests, never data.
"""

from __future__ import annotations

from collections.abc import Mapping


def named(**said: str) -> dict[str, str]:
    """The properties as a snapshot holds them."""
    return {_property(word): value for word, value in said.items()}


def said(summary: Mapping[str, str], word: str) -> str | None:
    """What a snapshot's summary says of `word`; None where it says nothing."""
    return summary.get(_property(word))


def _property(word: str) -> str:
    return f"xuanwu.{word.replace('_', '-')}"
