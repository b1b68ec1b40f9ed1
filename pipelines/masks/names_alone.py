"""Names of persons in Chinese prose that stand alone: 张建国在政务大厅递交了材料.

jieba (rjieba, the same in Rust) cuts each run of Chinese characters into words, by its dictionary and, where that has
none, by its hidden Markov model, and says of which kind each is. What it takes for a person's name is one here if it is
a family name and one or two characters that can be a given name, and neither ends like a place or an office nor stands
before what does. Of the dictionary's own names those with a frequent family name count: it holds 贺卡 and 卢布 too.
What this finds and misses is measured: docs/redaction.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from pipelines.masks.name_words import COMPOUND, SURNAMES
from pipelines.masks.names import BEGINS, FAMILY, GIVEN, HAN

if TYPE_CHECKING:
    import rjieba

Span = tuple[int, int]

MAY_HOLD = f"[{BEGINS}][{HAN}]"
"""For RE2: a text without it holds no such name."""
_RUN = re.compile(f"[{HAN}]{{2,}}")
_SURNAME = re.compile(f"{COMPOUND}|[{SURNAMES}]")
_FULL = re.compile(f"{FAMILY}(?:{GIVEN}){{1,2}}")
_PLACES = "区县市镇乡村路街桥巷站苑庄屯港湾岛寺塔河门府局宫派厅院所馆牌杯式"
_BEFORE_A_PLACE = re.compile(f"[{_PLACES}里湖山江园城州省坝]|大[街道桥厦]")
"""江 and 山 end given names too; right after a name they make it a place's."""
_FREQUENT = {2: SURNAMES[:9], 3: SURNAMES[:100], 4: ""}
"""Of dictionary names with so many characters these family names count; family names stand in the order of their
frequency."""
_LONGEST = 4
_PERSON = "nr"


def names_alone(text: str) -> Iterator[Span]:
    """Where such names stand, in order. A run of characters is looked at once, however often it comes."""
    seen: dict[str, list[Span]] = {}
    for run in _RUN.finditer(text):
        known = seen.get(run[0])
        if known is None:
            known = seen[run[0]] = list(_in_run(run[0]))
        for start, end in known:
            yield run.start() + start, run.start() + end


def _in_run(run: str) -> Iterator[Span]:
    """Names in a run of Chinese characters. A family name and the words of a person's name after it are one name."""
    words, index, start = _jieba().tag(run), 0, 0
    while index < len(words):
        word, tag = words[index]
        end, person = start + len(word), tag.startswith(_PERSON)
        index += 1
        if person or _SURNAME.fullmatch(word):
            while index < len(words) and _goes_on(*words[index], end - start):
                end += len(words[index][0])
                person, index = True, index + 1
            if person and _is_name(run, start, end):
                yield start, end
        start = end


def _goes_on(word: str, tag: str, length: int) -> bool:
    """Whether a word belongs to the name before it, which has `length` characters; it may be a name of its own."""
    another = length > 1 and len(word) > 1 and _SURNAME.match(word) is not None
    return tag.startswith(_PERSON) and length + len(word) <= _LONGEST and not another


def _is_name(run: str, start: int, end: int) -> bool:
    name = run[start:end]
    if name[-1] in _PLACES or _BEFORE_A_PLACE.match(run, end) or not _FULL.fullmatch(name):
        return False
    return name[0] in _FREQUENT[len(name)] or not _jieba().has_word(name)


@cache
def _jieba() -> rjieba.Jieba:
    """Its dictionary is loaded once, when the first text is looked at: 0.3 s and 65 MB."""
    import rjieba  # 0.1 s, which most stages need not spend

    return rjieba.Jieba()
