"""Free text measured: the corpus is what it says it is, the score counts as it should, and what the masks find does not fall
below what it was. Nothing here measures time."""

from __future__ import annotations

from collections import Counter

import pytest
from stdnum import luhn
from stdnum.cn import ric, uscc

from benchmarks.redaction.numbers import ORDINARY
from benchmarks.redaction.otherwise import otherwise
from benchmarks.redaction.page import _page
from benchmarks.redaction.prose import ALONE, HALVES, NAME, Document, Half, Span, documents
from benchmarks.redaction.real import paragraph
from benchmarks.redaction.score import Score, score
from pipelines.masks.finders import LABELS
from pipelines.masks.shadow import shadowed
from pipelines.masks.spans import marked

COUNT = 600
FLOORS: dict[str, dict[str, tuple[float, float]]] = {  # recall, precision
    "seen": {
        **dict.fromkeys(
            ("bank_card", "email", "landline", "phone", "plate", "uscc", "passport"), (0.995, 0.98)
        ),
        "resident_id": (0.99, 0.95),
        "name": (0.96, 0.97),
        ALONE: (0.87, 1),
    },
    "held_out": {
        **dict.fromkeys(("email", "plate", "uscc"), (0.99, 0.98)),
        "bank_card": (0.98, 0.90),
        "landline": (0.90, 0.98),
        "phone": (0.99, 0.85),
        "passport": (0.98, 0.70),
        "resident_id": (0.98, 0.93),
        "name": (0.76, 0.95),
        ALONE: (0.74, 1),
    },
}


OTHERWISE = {
    **dict.fromkeys(("bank_card", "phone", "uscc"), 0.99),
    "landline": 0.90,
    "resident_id": 0.96,  # of 15 digits only after a word
}
"""Recall of numbers that are written otherwise; they are taken for others no more often than those that are not."""


def found(document: Document) -> list[Span]:
    return [Span(*span) for span in marked(shadowed(document.text), tuple(LABELS))]


@pytest.mark.parametrize("half", HALVES)
def test_what_is_found_does_not_fall(half: Half) -> None:
    corpus = list(documents(half, COUNT, seed=7))
    scores = score(corpus, map(found, corpus))
    assert set(scores) == set(FLOORS[half])
    for kind, (recall, precision) in FLOORS[half].items():
        assert scores[kind].there > 20
        assert scores[kind].recall >= recall, kind
        assert scores[kind].precision >= precision, kind


@pytest.mark.parametrize("half", HALVES)
def test_numbers_written_otherwise_are_found_and_dates_and_versions_are_not(half: Half) -> None:
    plain = list(documents(half, COUNT, seed=7))
    corpus = list(otherwise(plain))
    scores, before = score(corpus, map(found, corpus)), score(plain, map(found, plain))
    for kind, recall in OTHERWISE.items():
        assert scores[kind].there > 60
        assert scores[kind].recall >= recall, kind
        assert scores[kind].false <= before[kind].false, kind


def test_the_corpus_written_otherwise_is_the_same_each_time_and_its_labels_are_right() -> None:
    plain = list(documents("held_out", 200))
    corpus = list(otherwise(plain))
    assert corpus == list(otherwise(plain)) != list(otherwise(plain, seed=2))
    written = []
    for one, other in zip(plain, corpus, strict=True):
        assert [span.kind for span in one.spans] == [span.kind for span in other.spans]
        written += [other.text[span.start : span.end] for span in other.spans if span.kind == "phone"]
    assert not any(each.isascii() and each.isdecimal() for each in written)
    digits = str.maketrans(
        "〇一二三四五六七八九零幺壹贰叁肆伍陆柒捌玖⓪①②③④⑤⑥⑦⑧⑨⓿❶❷❸❹❺❻❼❽❾",
        "01234567890112345678901234567890123456789",
    )
    numbers = ["".join(filter(str.isdecimal, each.translate(digits))) for each in written]
    assert len(numbers) > 100 and all(len(each) == 11 and each.startswith("1") for each in numbers)


@pytest.mark.parametrize("half", HALVES)
def test_the_corpus_is_the_same_each_time_and_its_labels_are_right(half: Half) -> None:
    corpus = list(documents(half, 200))
    assert corpus == list(documents(half, 200)) != list(documents(half, 200, seed=2))
    kinds = Counter(span.kind for document in corpus for span in document.spans)
    assert set(kinds) == {*LABELS, ALONE}
    for document in corpus:
        for span in document.spans:
            text = document.text[span.start : span.end]
            number = "".join(each for each in text if each not in " -\n\u3000\u00a0")
            if span.kind == "resident_id" and len(number) == 18 and number.isascii():
                assert ric.calc_check_digit(number) == number[-1]
            if span.kind == "uscc" and number.isascii():
                assert uscc.calc_check_digit(number[:-1]) == number[-1]
            if span.kind == "bank_card" and number.isascii():
                assert luhn.is_valid(number)


def test_the_halves_have_no_sentence_in_common() -> None:
    from pathlib import Path

    import benchmarks.redaction

    folder = Path(benchmarks.redaction.__file__).parent
    seen, held_out = ((folder / f"{half}.txt").read_text().splitlines() for half in HALVES)
    assert not set(seen) & set(held_out)
    assert min(len(seen), len(held_out)) > 40


def test_some_ordinary_numbers_look_like_identifiers() -> None:
    from random import Random

    random = Random(1)
    assert all(luhn.is_valid(ORDINARY["luhn"](random)) for _ in range(50))
    cases = [ORDINARY["case"](random) for _ in range(400)]
    assert 10 < sum(ric.calc_check_digit(case) == case[-1] for case in cases) < 80


def test_spans_are_scored_by_kind_by_touch_and_exactly() -> None:
    there = (Span(0, 3, NAME), Span(5, 16, "phone"), Span(20, 22, ALONE), Span(30, 40, "plate"))
    made = [
        Span(0, 2, NAME),
        Span(5, 16, "phone"),
        Span(20, 22, NAME),
        Span(50, 60, "phone"),
        Span(30, 40, "phone"),
    ]
    scores = score([Document("", there)], [made])
    assert (scores[NAME].recall, scores[NAME].exact_recall, scores[NAME].covered_recall) == (1, 0, 0)
    assert (scores[NAME].precision, scores[NAME].exact_precision) == (1, 0.5)
    assert scores[ALONE].recall == 1
    assert (scores["phone"].recall, scores["phone"].precision) == (1, pytest.approx(1 / 3))
    assert (scores["plate"].recall, scores["plate"].covered_recall) == (0, 1)


def test_a_paragraph_of_the_daily_has_its_names() -> None:
    made = paragraph("记者/n  兰/nr  红光/nr  、/w  [新华社/nt  总社/n]nt  叶利钦/nr  说/v")
    assert [made.text[span.start : span.end] for span in made.spans] == ["兰红光", "叶利钦"]


def test_the_page_says_where_a_peer_finds_more() -> None:
    from benchmarks.redaction.__main__ import Result

    ours, peers = Score(there=4, touched=1, found=1), Score(there=4, touched=4, found=4, false=1)
    results = [
        Result(corpus, contender, {NAME: mine}, seconds, 1_000_000)
        for corpus in ("held_out", "seen", "otherwise", "People's Daily")
        for contender, mine, seconds in (("Xuanwu", ours, 0.5), ("peer", peers, 50.0))
    ]
    page = "\n".join(_page(results, 0, Counter(), 1))
    assert "| name | 4 | 0.250 (0.000) | 1.000 (0.000) | 1.000 (0.000) | 0.750 (0.000) |" in page
    assert "| peer | 0.020 | 100 × |" in page
