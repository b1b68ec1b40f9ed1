"""The sample city run through all stages, three days of it, without Airflow."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lake.ledger import Ledger
from lake.records import Checked, Landed, Merged, Published, Record, Standardised
from lake.zones import identifier
from pipelines.batches import batch_for
from pipelines.connections import from_environment
from pipelines.context import Context
from pipelines.stages import Stage, run_batch
from sample.city import DAYS, SOURCES, write_city
from sample.server import serving
from schemas.load import load_catalogue
from schemas.settings import HERE, Settings
from tests.city.derived import derived
from tests.city.expected import Counts, Expected, Table
from tests.conftest import NOW
from tests.sample.recount import Row, rows_of

KEY = bytes(range(32)).hex()
Done = dict[tuple[Stage, str], Record]


@dataclass
class Day:
    """One day: what was done, what faults.json told, what plain Python expects."""

    done: dict[str, Done]
    told: dict[str, Any]
    counts: dict[str, Counts]
    tables: dict[str, Table]
    raw: dict[str, list[Row]]

    def landed(self, dataset: str) -> Landed:
        return self.done[dataset]["collect", ""]  # type: ignore[return-value]

    def standardised(self, dataset: str) -> Standardised:
        return self.done[dataset]["standardise", ""]  # type: ignore[return-value]

    def checked(self, dataset: str) -> Checked:
        return self.done[dataset]["check", ""]  # type: ignore[return-value]

    def merged(self, dataset: str) -> Merged:
        return self.done[dataset]["merge", ""]  # type: ignore[return-value]

    def published(self, dataset: str) -> list[Published]:
        return [record for record in self.done[dataset].values() if isinstance(record, Published)]


@dataclass
class City:
    """A city in `folder`, and the lake that takes it in."""

    folder: Path
    settings: Settings
    rows: int
    connections: dict[str, str] = field(default_factory=dict)
    days: dict[int, Day] = field(default_factory=dict)
    said: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        self.expected = Expected(load_catalogue(HERE / "catalogue"))

    @property
    def ctx(self) -> Context:
        return Context(
            settings=self.settings,
            catalogue=load_catalogue(self.settings.catalogue),
            ledger=Ledger(self.settings.database_url, clock=lambda: NOW),
            connect=lambda name: self.connections.get(name) or from_environment(name),
            clock=lambda: NOW,
        )

    @property
    def lake(self) -> Path:
        return Path(self.settings.lake_root)

    def write(self, day: int) -> None:
        self.connections = write_city(self.folder, day, self.rows)

    def run(self, dataset: str, day: int) -> Done:
        """All stages of one batch of the day."""
        ctx = self.ctx
        batch = batch_for(ctx, ctx.catalogue.entry(dataset), DAYS[day - 1])
        return {(stage, part): record for stage, part, record in run_batch(ctx, batch)}

    def run_day(self, day: int) -> None:
        """All datasets of the day, and what is expected of them."""
        self.write(day)
        raw = {s.dataset: rows_of(self.folder, s.dataset, DAYS[day - 1].isoformat()) for s in SOURCES}
        counts = self.expected.merge_day(self.folder, day)
        tables = {**self.expected.tables, **derived(self.expected.tables)}
        with serving(self.folder) as served, listening(self.said):
            self.connections |= served
            done = {dataset: self.run(dataset, day) for dataset in self.ctx.catalogue.order()}
        told = json.loads((self.folder / "faults.json").read_bytes())["days"][DAYS[day - 1].isoformat()]
        self.days[day] = Day(done, told, counts, tables, raw)

    def curated(self, dataset: str, snapshot: int) -> Iterator[Row]:
        fields = list(self.ctx.catalogue.entry(dataset).fields)
        for batch in self.ctx.tables.scan(identifier("curated", dataset), fields, snapshot):
            yield from batch.to_pylist()

    def variables(self) -> dict[str, str]:
        """What a process needs to work on this city."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("XUANWU_")}
        own = {
            "XUANWU_HOME": str(self.settings.home),
            "XUANWU_CATALOGUE": str(self.settings.catalogue),
            "XUANWU_KEY_1": KEY,
            "XUANWU_UNTIL": DAYS[-1].isoformat(),
            "PYTHONUNBUFFERED": "1",
        }
        urls = {f"XUANWU_CONN_{name.upper()}": url for name, url in self.connections.items()}
        return kept | own | urls

    def xuanwu(self, *arguments: str) -> str:
        """The real command line, in a process of its own; what it prints."""
        done = subprocess.run(
            [*XUANWU, *arguments],
            env=self.variables(),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        self.said.write(done.stdout + done.stderr)
        assert done.returncode == 0, done.stderr
        return done.stdout


XUANWU = (str(Path(sys.executable).parent / "xuanwu"),)


@contextmanager
def listening(said: io.StringIO) -> Iterator[None]:
    """Everything that is logged or printed meanwhile is written down; our own rooms at their most talkative."""
    handler, root = logging.StreamHandler(said), logging.getLogger()
    rooms = [logging.getLogger(name) for name in ("schemas", "expectations", "lake", "pipelines")]
    before: Mapping[logging.Logger, int] = {logger: logger.level for logger in (root, *rooms)}
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for room in rooms:
        room.setLevel(logging.DEBUG)
    try:
        with redirect_stdout(said), redirect_stderr(said):
            yield
    finally:
        root.removeHandler(handler)
        for logger, level in before.items():
            logger.setLevel(level)
