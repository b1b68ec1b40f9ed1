"""The same prose with its numbers written so that plain patterns pass them by: set apart by points, slashes and low
lines, in circles, as Chinese words. After each text stand ordinary numbers written with the same characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from random import Random

from benchmarks.redaction.numbers import cut, digits
from benchmarks.redaction.prose import Document, Span

_ALPHABETS = (
    "〇一二三四五六七八九",
    "零幺二三四五六七八九",
    "零壹贰叁肆伍陆柒捌玖",
    "⓪①②③④⑤⑥⑦⑧⑨",
    "⓿❶❷❸❹❺❻❼❽❾",
)
_GROUPS = {
    "resident_id": (6, 8, 4),
    "phone": (3, 4, 4),
    "bank_card": (4, 4, 4, 4, 3),
    "uscc": (2, 6, 9, 1),
}
_APART = "./_"


def otherwise(corpus: Iterable[Document], seed: int = 1) -> Iterator[Document]:
    """The corpus, the same for the same seed. Names, addresses, plates and passports are as they were."""
    random = Random(f"otherwise/{seed}")
    for document in corpus:
        yield _rewritten(random, document)


def _rewritten(random: Random, document: Document) -> Document:
    text, spans, at = "", [], 0
    for span in document.spans:
        text += document.text[at : span.start]
        value = _written(random, span.kind, document.text[span.start : span.end])
        spans.append(Span(len(text), len(text) + len(value), span.kind))
        text, at = text + value, span.end
    return Document(f"{text}{document.text[at:]}{_ordinary(random)}", tuple(spans))


def _written(random: Random, kind: str, value: str) -> str:
    if kind == "landline":
        set_apart = value.translate({ord(each): random.choice(_APART) for each in "- "})
        return set_apart if set_apart != value and value.count("-") < 2 else _spelt(random, value)
    if kind not in _GROUPS:
        return value
    plain = "".join(each for each in unicodedata.normalize("NFKC", value) if each.isalnum())
    if kind == "phone":
        plain = plain[-11:]
    if random.random() < 0.5:
        return _spelt(random, plain)
    old = kind == "resident_id" and len(plain) == 15
    return random.choice(_APART).join(cut(plain, (6, 6, 3) if old else _GROUPS[kind]))


def _spelt(random: Random, value: str) -> str:
    """In other digits, one in four of them as they were."""
    alphabet = random.choice(_ALPHABETS)
    mixed = random.random() < 0.25
    return "".join(
        alphabet[int(each)] if each.isdecimal() and not (mixed and random.random() < 0.25) else each
        for each in value
    )


def _ordinary(random: Random) -> str:
    """Days to days, decimals, versions, object identifiers, accounts, addresses; years and lists."""
    year, month, day = random.randint(2015, 2025), random.randint(1, 12), random.randint(1, 28)
    apart, read = random.choice(_APART), str.maketrans("0123456789", _ALPHABETS[0])
    dates = apart.join((str(year), f"{month:02}", f"{day:02}")), f"{year + 1}{apart}{month:02}{apart}{day:02}"
    return "".join(
        (
            f"周期{random.choice('-_至').join(dates)}，",
            f"读数1{random.choice('3456789')}{digits(random, 1)}.{digits(random, 8)}，",
            f"版本{random.randint(17, 26)}.{random.randint(130, 199)}.{digits(random, 4)}.{digits(random, 4)}，",
            f"对象1.3.6.1.2.1.{'.'.join(digits(random, 5))}，",
            f"科目{random.randint(1000, 6999)}.{digits(random, 2)}.{digits(random, 2)}.{digits(random, 4)}，",
            f"节点10.{random.randint(130, 199)}.{random.randint(0, 255)}.{random.randint(1, 254)}，",
            f"自{str(year).translate(read)}年至{str(year + 1).translate(read)}年，①收件②受理③审查④决定⑤送达。",
        )
    )
