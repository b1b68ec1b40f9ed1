"""`python -m benchmarks.redaction`: our masks beside Presidio on the same text, in one run; docs/redaction.md is
written anew between its markers."""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pyarrow as pa

from benchmarks.environments import ROOT, environment
from benchmarks.redaction.otherwise import otherwise
from benchmarks.redaction.page import write
from benchmarks.redaction.prose import HALVES, Document, Span, documents
from benchmarks.redaction.real import daily, files
from benchmarks.redaction.score import Score, score
from pipelines.masks.finders import LABELS
from pipelines.masks.redact import redact
from pipelines.masks.shadow import shadowed
from pipelines.masks.spans import marked
from schemas.model import Field, Redact

OURS = "Xuanwu"
WAYS = {"own": "Presidio, as it comes", "chinese folded": "Presidio + Chinese recognisers + LAC"}
DAILY, OTHERWISE = "People's Daily", "otherwise"


class Result(NamedTuple):
    """What one contender made of one corpus."""

    corpus: str
    contender: str
    scores: dict[str, Score]
    seconds: float
    size: int


def ours(corpus: Sequence[Document]) -> tuple[list[list[Span]], float]:
    """The spans, and the seconds of processor time that the mask takes for the column."""
    found = [[Span(*span) for span in marked(shadowed(d.text), tuple(LABELS))] for d in corpus]
    column = pa.array([document.text for document in corpus])
    field = Field.model_validate(
        {"name": "text", "title": {"zh": "-", "en": "-"}, "type": "string", "grade": 3}
    )
    redact(column.slice(0, 1), Redact(), field)  # tables are made once
    began = time.process_time()
    redact(column, Redact(), field)
    return found, time.process_time() - began


def peer(corpus: Sequence[Document], way: str, python: Path) -> tuple[list[list[Span]], float]:
    """The same by `benchmarks.contenders.presidio_zh`, in its own environment."""
    with TemporaryDirectory(prefix="xuanwu-redaction-") as folder:
        told, answer = Path(folder) / "task.json", Path(folder) / "answer.json"
        task = {"texts": [document.text for document in corpus], "way": way, "answer": str(answer)}
        told.write_text(json.dumps(task, ensure_ascii=False))
        program = [str(python), "-m", "benchmarks.contenders.presidio_zh", str(told)]
        subprocess.run(program, cwd=ROOT, check=True, capture_output=True)
        made = json.loads(answer.read_text())
    return [[Span(*span) for span in each] for each in made["found"]], made["seconds"]


def measure(count: int) -> list[Result]:
    """Every contender on every corpus, by turns."""
    python = environment("redaction", "requirements-redaction.txt")
    corpora = {half: list(documents(half, count)) for half in HALVES}
    corpora |= {OTHERWISE: list(otherwise(corpora["held_out"]))}
    corpora |= {DAILY: daily(python, count)}
    results = []
    for name, corpus in corpora.items():
        size = sum(len(document.text.encode()) for document in corpus)
        for contender in (OURS, *WAYS):
            print(f"{name}: {contender} …", flush=True)
            found, seconds = ours(corpus) if contender == OURS else peer(corpus, contender, python)
            shown = WAYS.get(contender, contender)
            results.append(Result(name, shown, score(corpus, found), seconds, size))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=800, help="of each corpus")
    parser.add_argument("--files", type=Path, nargs="*", default=[], help="files or folders without persons")
    options = parser.parse_args()
    results = measure(options.documents)
    rows, alarms = files(list(chain(*(sorted(p.rglob("*")) if p.is_dir() else [p] for p in options.files))))
    write(results, rows, alarms, options.documents)
    print("written: docs/redaction.md")


if __name__ == "__main__":
    main()
