"""Chinese government prose with the identifiers in it labelled, drawn from a seed.

There are two halves, each of sentences, titles, labels and given names of its own: the rules of `pipelines.masks` were
bettered by what they missed in `seen` only, so that `held_out` says what they do on prose that nobody tuned them to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple

import yaml

from benchmarks.redaction.numbers import IDENTIFIERS, ORDINARY, written

HERE = Path(__file__).parent
Half = Literal["seen", "held_out"]
HALVES: tuple[Half, ...] = ("seen", "held_out")
NAME, ALONE = "name", "name alone"


class Span(NamedTuple):
    """Where an identifier of a kind stands, in characters. `ALONE` is a name with neither label nor title."""

    start: int
    end: int
    kind: str


class Document(NamedTuple):
    text: str
    spans: tuple[Span, ...]


_SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗" * 4
) + "梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎"
_RARER = (
    *"仲佴佘侴厉司屈帅应庾强戎扈暴束栗桑楼母沙洛活牧益索繁缪羊翟逄郗郦钮闾隗寿干麻敬随",
    *("欧阳", "司马", "诸葛", "上官", "皇甫", "尉迟", "令狐", "夏侯", "慕容", "端木"),
)
_OTHERS = ("买买提·艾力", "阿依古丽·吐尔逊", "扎西多吉", "古丽娜尔·玉山")
_WORDS = yaml.safe_load((HERE / "words.yaml").read_text())
_SLOT = re.compile(r"\{(-?)(\w+)\}")


def documents(half: Half, count: int, seed: int = 1) -> Iterator[Document]:
    """Texts of one to four sentences, the same for the same seed."""
    random = Random(f"{half}/{seed}")
    lines = (HERE / f"{half}.txt").read_text().splitlines()
    sentences = [line for line in lines if line and not line.startswith("#")]
    for _ in range(count):
        yield _document(random, half, random.choices(sentences, k=random.randint(1, 4)))


def _document(random: Random, half: Half, sentences: list[str]) -> Document:
    text, spans = "", []
    for sentence in sentences:
        at = 0
        for slot in _SLOT.finditer(sentence):
            text += sentence[at : slot.start()]
            at = slot.end()
            kind, value = _filled(
                random, half, slot[2], ordinary=bool(slot[1]), titled=_titled(sentence, slot)
            )
            if kind:
                spans.append(Span(len(text), len(text) + len(value), kind))
            text += value
        text += sentence[at:] + random.choice(("", "", "\n") if sentence[-1] in "。；！" else ("。", "\n"))
    return Document(text, tuple(spans))


def _titled(sentence: str, slot: re.Match[str]) -> bool:
    """Whether a title follows, so that the family name will do."""
    return sentence.startswith("{title}", slot.end())


def _filled(random: Random, half: Half, slot: str, *, ordinary: bool, titled: bool) -> tuple[str | None, str]:
    """What stands in a slot, and its kind where it is an identifier."""
    if ordinary:
        return None, random.choice(_WORDS["bank"]) if slot == "bank" else ORDINARY[slot](random)
    if slot in ("name", "bare"):
        return (NAME if slot == "name" else ALONE), _person(random, half, titled)
    if slot in IDENTIFIERS:
        return slot, written(random, slot, IDENTIFIERS[slot](random))
    words = {
        "title": _WORDS["titles"][half],
        "label": _WORDS["labels"][half],
        "district": _WORDS["district"],
        "road": _WORDS["road"],
    }
    return None, random.choice(words[slot])


def _person(random: Random, half: Half, titled: bool) -> str:
    if not titled and random.random() < 0.01:
        return random.choice(_OTHERS)
    family = random.choice(_RARER) if random.random() < 0.06 else random.choice(_SURNAMES)
    if titled and random.random() < 0.6:
        return family
    return family + "".join(random.choices(_WORDS["given"][half], k=random.choice((1, 2, 2))))
