"""One file as YAML: what is read, what is refused, and on which line."""

from __future__ import annotations

import pytest

from schemas.yamlfile import Lines, Unreadable, decode, parse


def test_plain_scalars_are_those_of_yaml_1_2() -> None:
    text = (
        "a: 1\nb: -2.5e1\nc: true\nd: no\ne: 2026-01-02\nf: '1'\ng: ~\nh:\ni: 12:30\non: x\n1: y\nj: 0x1F\n"
    )
    data, findings = parse(text)
    assert findings == []
    assert data == {
        **{"a": 1, "b": -25.0, "c": True, "d": "no", "e": "2026-01-02", "f": "1", "g": None, "h": None},
        **{"i": "12:30", "on": "x", "1": "y", "j": "0x1F"},
    }


def test_a_byte_order_mark_is_allowed() -> None:
    assert parse(decode("\ufeffid: 玄武".encode())) == ({"id": "玄武"}, [])


UNREADABLE = {
    "empty": (b"", 1, "the file is empty"),
    "only a comment": (b"# nothing\n", 1, "the file is empty"),
    "a list": (b"# x\n- a\n- b\n", 2, "the top level is not a mapping"),
    "a tab": (b"id: a\nshare:\n\ttype: none\n", 3, "a tab"),
    "GB18030": ("id: a\ntitle: 婚姻\n".encode("gb18030"), 2, "the file is not UTF-8"),
    "UTF-16": ("id: a".encode("utf-16"), 1, "the file is not UTF-8"),
    "a NUL": (b"id: a\nowner: b\0c\n", 2, "a character that YAML does not allow"),
    "a bracket": (b"id: a\nkey: [a\nowner: b\n", 3, "this is not YAML"),
    "a colon": (b"id: a\ntitle: b: c\n", 2, "this is not YAML: mapping values are not allowed"),
    "two documents": (b"id: a\n---\nid: b\n", 2, "this is not YAML"),
    "an anchor": (b"id: &x a\nowner: *x\n", 1, "an anchor or alias (`x`) is not used here"),
    "too deep": (b"id: " + b"[" * 5000 + b"]" * 5000, 1, ""),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_says_where_and_why(case: str) -> None:
    raw, line, message = UNREADABLE[case]
    with pytest.raises(Unreadable) as caught:
        parse(decode(raw))
    assert (caught.value.finding.line, caught.value.finding.message[: len(message)]) == (line, message)
    assert caught.value.finding.expected


def test_every_duplicate_key_is_told_with_its_line() -> None:
    _, findings = parse("a: 1\nb: {c: 1, c: 2}\na: 2\n")
    assert [(f.path, f.line, f.message) for f in findings] == [
        (("b", "c"), 2, "this key stands here twice"),
        (("a",), 3, "this key stands here twice"),
    ]


def test_tags_and_keys_that_are_no_names() -> None:
    _, findings = parse("a: !!python/object:os.system x\n? [b]\n: c\n")
    assert [(f.line, f.message) for f in findings] == [
        (1, "a YAML tag (`!…`) is not used here"),
        (2, "a key is a name, not a list or a mapping"),
    ]


def test_lines_of_keys_items_and_of_what_is_not_there() -> None:
    lines = Lines("a: 1\nb:\n  - x\n  - {c: 1,\n     d: 2}\n")
    assert [lines.of(path) for path in [("a",), ("b", 0), ("b", 1, "d"), ("b", 1, "z"), ("z",), ()]] == [
        1,
        3,
        5,
        4,
        1,
        1,
    ]
