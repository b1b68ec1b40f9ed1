"""Forms of dates: which are understood, and that the usual ones are."""

from __future__ import annotations

import re

import pytest

from schemas.formats import DATE_FORMATS, TIMESTAMP_FORMATS, parse_format


@pytest.mark.parametrize(
    "text", [*DATE_FORMATS, *TIMESTAMP_FORMATS, "%d-%b-%y", "%m/%d/%Y %I:%M %p", "%%%Y%m%d"]
)
def test_forms_that_are_understood(text: str) -> None:
    form = parse_format(text)
    assert form.text == text and re.compile(form.pattern)
    assert form.has_time == bool(re.search("%[HI]", text)) and form.has_zone == ("%z" in text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(
            ("%Y-%m", "one year, one month and one day"),
            ("%H:%M", "one year"),
            ("", "one year"),
            ("%Y%y%m%d", "one year"),
        ),
        *(
            ("%Y-%m-%d %Q", "directives among"),
            ("%Y-%m-%d%", "directives among"),
            ("%Y-%m-%d %Y", "each once"),
        ),
        *(("%Y-%m-%d %I", "%I with %p"), ("%Y-%m-%d %H %p", "%I with %p"), ("%m%b%d%Y", "one month")),
    ],
)
def test_forms_that_are_not(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        parse_format(text)


def test_places_are_in_bytes() -> None:
    form = parse_format("%Y年%m月%d日")
    assert form.width == len("2026年03月01日".encode())
    assert form.columns == (("Y", 0), ("m", 7), ("d", 12))


def test_digits_may_be_left_out_only_before_a_mark() -> None:
    assert re.search(parse_format("%Y-%m-%d").pattern, "2026-3-1")
    assert not re.search(parse_format("%Y%m%d").pattern, "202631")
    assert not re.search(parse_format("%Y-%m-%d").pattern, "26-3-1")
