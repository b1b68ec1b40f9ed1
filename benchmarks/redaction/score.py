"""What was found held against what is there, span by span."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.redaction.prose import ALONE, NAME, Document, Span


@dataclass
class Score:
    """Counts of one kind. `exact` spans begin and end where the identifier does; `touched` ones overlap it; `covered`
    identifiers have no character left to read, whatever kind they were taken for. `false` were found where nothing of
    the kind is."""

    there: int = 0
    exact: int = 0
    touched: int = 0
    covered: int = 0
    found: int = 0
    found_exact: int = 0
    false: int = 0

    @property
    def recall(self) -> float:
        return self.touched / self.there if self.there else 1.0

    @property
    def precision(self) -> float:
        return 1 - self.false / self.found if self.found else 1.0

    @property
    def exact_recall(self) -> float:
        return self.exact / self.there if self.there else 1.0

    @property
    def exact_precision(self) -> float:
        return self.found_exact / self.found if self.found else 1.0

    @property
    def covered_recall(self) -> float:
        return self.covered / self.there if self.there else 1.0


def score(documents: Iterable[Document], found: Iterable[Sequence[Span]]) -> dict[str, Score]:
    """By kind, in the order in which kinds come. Names alone are a kind of their own where they are missed; to find
    one is never a false alarm."""
    scores: dict[str, Score] = defaultdict(Score)
    for document, spans in zip(documents, found, strict=True):
        _score(scores, document.spans, spans)
    return dict(sorted(scores.items()))


def _score(scores: dict[str, Score], there: Sequence[Span], found: Sequence[Span]) -> None:
    covered = {place for span in found for place in range(span.start, span.end)}
    for span in there:
        mine = scores[span.kind]
        alike = [other for other in found if _same_kind(other, span)]
        mine.there += 1
        mine.exact += any(other[:2] == span[:2] for other in alike)
        mine.touched += any(_overlap(other, span) for other in alike)
        mine.covered += covered.issuperset(range(span.start, span.end))
    for span in found:
        mine = scores[span.kind]
        alike = [other for other in there if _same_kind(span, other)]
        mine.found += 1
        mine.found_exact += any(other[:2] == span[:2] for other in alike)
        mine.false += not any(_overlap(other, span) for other in alike)


def _same_kind(found: Span, there: Span) -> bool:
    return found.kind == (NAME if there.kind == ALONE else there.kind)


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end
