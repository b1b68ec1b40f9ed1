"""Names of persons in Chinese prose, where a label stands before one (联系人：张伟), a title before or after it
(局长李建国, 张伟主任), or their id or telephone number after it (张伟（身份证…）).

A name is a family name and one or two characters that can be a given name. A full name that was found once is found
everywhere in its text. Names with none of these beside them are what `masks.names_alone` is for.
Words that begin like a name (高度, 管理, 项目) are left alone. Names with a dot (买买提·艾力) are found after a label.
Names that are anonymised already (张某) are left. What it finds and misses is measured: docs/redaction.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipelines.masks.name_words import (
    AFTER,
    BEFORE_A_NAME,
    COMPOUND,
    DOUBTFUL,
    HONORIFICS,
    LABELS,
    NATIONAL,
    NOT_GIVEN,
    PLACES,
    ROLES,
    SURNAMES,
    WORDS,
)
from pipelines.masks.shadow import SEPARATOR

Span = tuple[int, int]

HAN = "\u4e00-\u9fff\u3400-\u4dbf"
_TITLES = f"{ROLES}|{HONORIFICS}"
_GAP = "[ \t\u3000\xa0]*"
BEGINS = SURNAMES + "".join(each[0] for each in COMPOUND.split("|"))
FAMILY = f"(?=[{BEGINS}])(?!{WORDS})(?:{COMPOUND}|[{SURNAMES}])"
GIVEN = f"(?!(?:{_TITLES})|[{NOT_GIVEN}])[{HAN}]"
_FULL = f"{FAMILY}(?:{GIVEN}){{1,2}}"
_ENDED = f"(?=[^{HAN}]|\\Z)"
_GOES_ON = f"(?={_TITLES}|{AFTER})"
_DOTTED = f"[{HAN}]{{2,8}}(?:[·•・][{HAN}]{{2,8}}?)+(?:{_ENDED}|{_GOES_ON})"
_NAME = f"(?P<name>{_DOTTED}|{_FULL}{_ENDED}|{_FULL}?{_GOES_ON})"
_COLON = f'(?:{_GAP}(?:[：:]|为[：:]?|是[：:]?|系|叫){_GAP}[“"]?|[ \t\u3000\xa0（(]*)'
_PERSONAL = "[人员者表主方字呼责系长师民亲属生]|姓[ \u3000]*名"
_WHOSE = "[男女][，,、。；;）)]|身份证|公民身份|证件号|联系电话|电话|手机|[+1][0-9]{10}|１[０-９]{10}"

_NO_TITLE = "(?!(?<=委员)会|(?<=会计)[划算法]|(?<=警官)兵|(?<=政委)员)"
_BESIDE = re.compile(
    f"(?P<label>{LABELS})|(?P<role>{ROLES}){_NO_TITLE}|(?P<honorific>{HONORIFICS})|(?P<whose>{_WHOSE})"
)
_AFTER_LABEL = re.compile(f"{_COLON}{_NAME}|{_GAP}[：:]{_GAP}(?P<greedy>{_FULL})")
_AFTER_COLON = re.compile(rf"(?:{_PERSONAL}){_GAP}[：:]{_GAP}(?P<name>{_FULL}){_ENDED}")
_ANOTHER = re.compile(rf"{_GAP}(?:、|和|与|及|/){_GAP}{_NAME}")
"""A name beside a name: 经办人王丽、李明."""
_FIRST = f"(?<!由(?=于))(?:(?<![{HAN}])|(?<=[{BEFORE_A_NAME}])|(?<=[市村居农渔]民))"
_ALONE = f"(?<!由(?=于))(?:(?![{DOUBTFUL}])|{_FIRST})"
_BEFORE_TITLE = re.compile(f"{_ALONE}{FAMILY}(?:{GIVEN}){{0,2}}")
_BEFORE_PLACE = re.compile(f"{_ALONE}{_FULL}|{_FIRST}{FAMILY}")
_BEFORE_NATIONAL = re.compile(f"{_FIRST}{FAMILY}(?:{GIVEN}){{0,2}}")
_BEFORE_WHOSE = re.compile(f"{_FIRST}{_FULL}")
_BY_TITLE = dict.fromkeys(PLACES, _BEFORE_PLACE) | dict.fromkeys(NATIONAL, _BEFORE_NATIONAL)
_BETWEEN = " \t\u3000\xa0（(，,：:"
_NEAR = 4
"""So many characters of those may stand between a name and what is somebody's."""
_LONGEST = 4
"""A family name of two characters and two given ones."""
_ENDS = SURNAMES + "".join(each[-1] for each in COMPOUND.split("|"))
MAY_HOLD = (
    rf"(?:{LABELS}|{ROLES}){_COLON}(?:[{BEGINS}]|[{HAN}]{{2,8}}[·•・])|(?:{_PERSONAL}){_GAP}[：:]{_GAP}[{BEGINS}]|"
    rf"[{_ENDS}][{HAN}]{{0,3}}(?:{_TITLES}|[{_BETWEEN}]{{0,{_NEAR}}}(?:{_WHOSE}))"
)
"""For RE2: a text without any of these holds no name. The names beside a name, and the same one again, need one that is
found; 副 before a title is one of the characters before it."""
_KNOWN, _REACH = 3, 2000
"""From so many characters on a name is found again, so many characters before and after; shorter ones may be parts of
words."""


def names(text: str) -> Iterator[Span]:
    """Where names stand, in no order and perhaps twice. Rows end with `SEPARATOR`."""
    searched: dict[str, int] = {}
    for start, end in dict.fromkeys(_beside(text)):
        yield start, end
        if end - start >= _KNOWN:
            yield from _again(text, start, end, searched)


def _beside(text: str) -> Iterator[Span]:
    """Names beside a label, a title, or what is somebody's."""
    for word in _BESIDE.finditer(text):
        kind = word.lastgroup
        if kind in ("label", "role"):
            yield from _following(text, _AFTER_LABEL.match(text, word.end()))
        if kind in ("role", "honorific"):
            yield from _before_title(text, word)
        elif kind == "whose":
            near = text[max(0, word.start() - _NEAR) : word.start()]
            yield from _before(text, word.start() - len(near) + len(near.rstrip(_BETWEEN)), _BEFORE_WHOSE)
    for word in _AFTER_COLON.finditer(text):
        yield word.span("name")


def _following(text: str, found: re.Match[str] | None) -> Iterator[Span]:
    """The name after a label, and those beside it."""
    while found:
        group = "name" if found["name"] else "greedy"
        yield found.span(group)
        found = _ANOTHER.match(text, found.end(group))


def _before_title(text: str, title: re.Match[str]) -> Iterator[Span]:
    end = title.start() - (text[title.start() - 1 : title.start()] == "副")
    return _before(text, end, _BY_TITLE.get(title[0], _BEFORE_TITLE))


def _before(text: str, end: int, pattern: re.Pattern[str]) -> Iterator[Span]:
    """The longest name that ends at `end`."""
    for start in range(max(0, end - _LONGEST), end):
        if pattern.fullmatch(text, start, end):
            yield start, end
            return


def _again(text: str, start: int, end: int, searched: dict[str, int]) -> Iterator[Span]:
    """The same name elsewhere in its row. `searched` is how far it was looked for already."""
    name = text[start:end]
    first = max(
        text.rfind(SEPARATOR, max(0, start - _REACH), start) + 1, start - _REACH, searched.get(name, 0)
    )
    last = text.find(SEPARATOR, end, end + _REACH)
    last = min(len(text), end + _REACH) if last < 0 else last
    searched[name] = max(last - len(name) + 1, searched.get(name, 0))
    at = text.find(name, first, last)
    while at >= 0:
        yield at, at + len(name)
        at = text.find(name, at + len(name), last)
