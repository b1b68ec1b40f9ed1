"""Declared types: which change is a widening, and whether a field has room for it."""

from __future__ import annotations

import pytest

from pipelines.drift.kinds import holds, step
from schemas.model import Field, Title

WIDER = [
    ("integer", "bigint"),
    ("smallint", "integer"),
    ("int32", "int64"),
    ("int(10) unsigned", "bigint(20)"),
    ("varchar(20)", "varchar(40)"),
    ("character varying(20)", "text"),
    ("real", "double precision"),
    ("numeric(10,2)", "numeric(12,2)"),
    ("numeric(10,2)", "numeric(12,4)"),
    ("decimal128(10, 2)", "decimal128(12, 2)"),
    ("integer", "numeric(12)"),
]
OTHER = [
    ("bigint", "integer"),
    ("varchar(40)", "varchar(20)"),
    ("bigint(20)", "int(10) unsigned"),
    ("int(10)", "bigint(20) unsigned"),
    ("numeric(10,2)", "numeric(10,4)"),
    ("numeric(12,0)", "integer"),
    ("double precision", "real"),
    ("text", "integer"),
    ("integer", "text"),
    ("date", "character varying(10)"),
    ("date", "timestamp without time zone"),
    ("timestamp without time zone", "timestamp with time zone"),
    ("timestamp[us]", "timestamp[us, tz=UTC]"),
    ("boolean", "smallint"),
    ("uuid", "text"),
]
SAME = [
    ("int(11)", "int"),
    ("datetime", "datetime"),
    ("varchar(20)", "character varying(20)"),
    ("", "integer"),
    ("timestamp(3) without time zone", "timestamp(6) without time zone"),
    ("enum('a','b')", "enum('a','b','c')"),
]


@pytest.mark.parametrize(("before", "after"), WIDER)
def test_wider(before: str, after: str) -> None:
    assert (step(before, after), step(after, before)) == ("wider", "other")


@pytest.mark.parametrize(("before", "after"), OTHER)
def test_other(before: str, after: str) -> None:
    assert step(before, after) == "other"


@pytest.mark.parametrize(("before", "after"), SAME)
def test_same(before: str, after: str) -> None:
    assert step(before, after) == "same"


def field(**more: object) -> Field:
    return Field.model_validate({"name": "x", "title": Title(zh="x", en="x"), "grade": 1, **more})


def test_a_field_has_room_or_not() -> None:
    assert holds(field(type="integer"), "bigint")
    assert holds(field(type="string"), "varchar(400)")
    assert holds(field(type="string", length=40), "varchar(40)")
    assert not holds(field(type="string", length=40), "varchar(41)")
    assert holds(field(type="decimal", precision=12, scale=4), "numeric(12,4)")
    assert not holds(field(type="decimal", precision=12, scale=2), "numeric(12,4)")
    assert not holds(field(type="decimal", precision=12, scale=2), "numeric(13,2)")
