"""Who runs against whom: the groups, in each the contenders that do the same work on the same source."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.contenders.ours import DATASET
from benchmarks.environments import ROOT, environment, java
from benchmarks.measure import Run, measure
from benchmarks.sources import TABLE, Sources
from pipelines.keys import Key
from schemas.load import load_catalogue
from schemas.policy import domain_of

CATALOGUE = Path(__file__).parent / "catalogue"
OURS, FLOOR, RECEIVED = "Xuanwu", "floor", "received alone"
RECIPIENT = domain_of("share", DATASET, "default")
"""Whose tokens the peers make too."""
DATABASES = ("postgresql", "mariadb")
WAY = "whole way"
NEXT = "one day later"
FILE_SOURCE = "source: {{kind: file, connection: bench, path: residents.{kind}, format: {kind}}}"


@dataclass(frozen=True)
class Contender:
    """A program of `benchmarks.contenders`, the Python it runs on, the source it reads, and what else it is told."""

    name: str
    module: str
    python: str
    source: str
    options: dict[str, Any] = field(default_factory=dict)


def groups(chosen: str) -> tuple[dict[str, list[Contender]], list[str]]:
    """The groups whose name holds one of the words in `chosen`, parted by commas; and why some contender is missing."""
    here, peers = sys.executable, str(environment("bench", "requirements.txt"))
    found: dict[str, list[Contender]] = {}
    for kind in (*DATABASES, "csv", "parquet"):
        backends = (
            {"connectorx": "dlt ConnectorX", "pyarrow": "dlt PyArrow"} if kind in DATABASES else {"": "dlt"}
        )
        found[f"collect {kind}"] = [
            Contender(FLOOR, "floor_collect", peers if kind == "mariadb" else here, kind),
            Contender(OURS, "ours", here, kind, {"way": "collect"}),
            *(Contender(name, "dlt_collect", peers, kind, {"backend": b}) for b, name in backends.items()),
        ]
    found["collect postgresql"].insert(0, Contender(RECEIVED, "received", here, "postgresql"))
    found[WAY] = [
        Contender(OURS, "ours", here, "postgresql", {"way": "whole"}),
        Contender(FLOOR, "floor_way", here, "postgresql"),
        Contender("pandas + GX", "pandas_way", peers, "postgresql"),
    ]
    found[NEXT] = [Contender(OURS, "ours", here, "postgresql", {"way": "day"})]
    if java() is None:
        missing = ["PySpark: there is no `java` on this machine"]
    else:
        missing = []
        spark = str(environment("bench-spark", "requirements-spark.txt"))
        found[WAY].append(Contender("PySpark local[2]", "spark_way", spark, "parquet"))
    words = chosen.split(",")
    return {
        name: each for name, each in found.items() if any(word.strip() in name for word in words)
    }, missing


@dataclass
class Ground:
    """Where a contest takes place: a scratch folder, the sources, a key made for it alone."""

    folder: Path
    sources: Sources
    key: str = field(default_factory=lambda: secrets.token_hex(32))

    def run(self, contender: Contender, number: int, before: Sequence[str] = ()) -> tuple[Run, Path]:
        """One run in an empty home, which is the caller's to remove. `before` is a program that runs it."""
        home = self.folder / f"{number:03d}-{contender.module}"
        home.mkdir()
        task = {
            "kind": contender.source,
            "place": self.sources.places[contender.source],
            "table": TABLE,
            "home": str(home),
            "codes": str(self.codes),
            "token_key": Key("1", bytes.fromhex(self.key)).derive(f"token/{RECIPIENT}", "sm3").hex(),
            **contender.options,
        }
        told = self.folder / f"{home.name}.json"
        told.write_text(json.dumps(task))
        program = [*before, contender.python, "-m", f"benchmarks.contenders.{contender.module}", str(told)]
        log = self.folder / f"{home.name}.log"
        return measure(program, cwd=ROOT, log=log, env=self._environment(contender.source, home)), home

    def _environment(self, kind: str, home: Path) -> dict[str, str]:
        place = self.sources.places[kind]
        return {
            "XUANWU_HOME": str(home),
            "XUANWU_CATALOGUE": str(self._catalogue(kind)),
            "XUANWU_CONN_BENCH": place if kind in DATABASES else str(Path(place).parent),
            "XUANWU_KEY_1": self.key,
        }

    def _catalogue(self, kind: str) -> Path:
        """The benchmark's catalogue, its one entry reading from this kind of source."""
        if kind in DATABASES:
            return CATALOGUE
        root = self.folder / f"catalogue-{kind}"
        for file in CATALOGUE.rglob("*.yaml"):
            lines = file.read_text().splitlines()
            text = [FILE_SOURCE.format(kind=kind) if line.startswith("source:") else line for line in lines]
            copy = root / file.relative_to(CATALOGUE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text("\n".join(text) + "\n")
        return root

    @cached_property
    def codes(self) -> Path:
        """Code lists for the peers: field to label or alias to code."""
        catalogue = load_catalogue(CATALOGUE)
        labels = {
            name: {
                text: code.code
                for code in catalogue.codes[field.codes]
                for text in (code.code, code.zh, *code.aliases)
            }
            for name, field in catalogue.entry(DATASET).fields.items()
            if field.codes
        }
        path = self.folder / "codes.json"
        path.write_text(json.dumps(labels, ensure_ascii=False))
        return path
