"""The tables of docs/redaction.md, between its markers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from benchmarks.environments import ROOT
from benchmarks.redaction.prose import ALONE
from benchmarks.redaction.score import Score

if TYPE_CHECKING:
    from benchmarks.redaction.__main__ import Result

PAGE = ROOT / "docs" / "redaction.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_TITLES = {
    "held_out": "Prose that no rule was bettered by",
    "seen": "Prose that the rules were bettered by",
    "otherwise": "Prose that no rule was bettered by, its numbers written otherwise",
    "People's Daily": "The People's Daily of January 1998: names only",
}


def write(results: Sequence[Result], rows: int, alarms: Counter[str], documents: int) -> None:
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    tables = "\n".join(_page(results, rows, alarms, documents))
    PAGE.write_text(f"{before}{BEGIN}\n{tables}\n{END}{after}")


def _page(results: Sequence[Result], rows: int, alarms: Counter[str], documents: int) -> Iterator[str]:
    for corpus, title in _TITLES.items():
        group = [result for result in results if result.corpus == corpus]
        yield f"\n### {title}\n"
        yield from _accuracy(group)
    yield f"\n### Speed, {documents} documents of each corpus\n"
    yield from _speed(results)
    if rows:
        found = ", ".join(f"{count} {kind}" for kind, count in sorted(alarms.items())) or "none"
        yield f"\nFalse alarms in {rows:,} lines of open data without persons: {found}.\n"


def _accuracy(group: Sequence[Result]) -> Iterator[str]:
    """Recall and precision by overlap, and exact in brackets."""
    kinds = [
        kind
        for kind in group[0].scores
        if any(each.scores[kind].there for each in group if kind in each.scores)
    ]
    names = [result.contender for result in group]
    yield "| | there | " + " | ".join(f"{name}: recall | precision" for name in names) + " |"
    yield "|---|---:|" + "---:|---:|" * len(names)
    for kind in kinds:
        scores = [result.scores.get(kind, Score()) for result in group]
        cells = _flat(_cells(score, kind) for score in scores)
        yield f"| {kind} | {max(score.there for score in scores)} | " + " | ".join(cells) + " |"


def _flat(cells: Iterable[tuple[str, str]]) -> list[str]:
    return [cell for pair in cells for cell in pair]


def _cells(score: Score, kind: str) -> tuple[str, str]:
    recall = f"{score.recall:.3f} ({score.exact_recall:.3f})"
    if kind == ALONE or not score.found:
        return recall, "–"
    return recall, f"{score.precision:.3f} ({score.exact_precision:.3f})"


def _speed(results: Sequence[Result]) -> Iterator[str]:
    yield "| | MB per second of processor time | of Xuanwu's time |"
    yield "|---|---:|---:|"
    rates = {
        name: sum(r.size for r in results if r.contender == name)
        / sum(r.seconds for r in results if r.contender == name)
        for name in dict.fromkeys(result.contender for result in results)
    }
    ours = next(iter(rates.values()))
    for name, rate in rates.items():
        yield f"| {name} | {rate / 1e6:.3f} | {ours / rate:,.0f} × |"
