"""Results as files, one JSON for each measurement, of which docs/performance.md is made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.results import machine

RESULTS = Path(__file__).parent / "results"


def keep(kind: str, content: dict[str, Any]) -> Path:
    """Write a result with the machine it was taken on; a second one of the same day takes the place of the first."""
    RESULTS.mkdir(exist_ok=True)
    day = date.today().isoformat()
    path = RESULTS / f"{kind}-{day}.json"
    whole = {"kind": kind, "date": day, "machine": machine(), **content}
    path.write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n")
    return path


def kept(results: Path = RESULTS) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every result, the oldest first. Those without a kind are contests."""
    found = [(path, json.loads(path.read_text())) for path in results.glob("*.json")]
    yield from sorted(found, key=lambda each: (each[1]["date"], each[0].name))


def newest(kind: str, results: Path = RESULTS) -> dict[str, Any] | None:
    """The newest result of a kind."""
    return next((each for _, each in reversed(list(kept(results))) if each.get("kind") == kind), None)
