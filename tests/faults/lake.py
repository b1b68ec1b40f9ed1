"""A small sample city and its lake, which can be put aside and taken back, and the steps of its way."""

from __future__ import annotations

import os
import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from lake.ledger import Ledger
from lake.records import STAGES, Stage
from pipelines.batches import batch_for
from pipelines.context import Context
from pipelines.stages import parts, run_stage
from sample.city import DAYS
from sample.server import serving
from schemas.load import Catalogue, load_catalogue
from schemas.settings import Settings
from tests.city.running import City
from tests.conftest import NOW
from tests.faults.stopping import Ended, run
from tests.waiting import PROGRAM, ended_child

ROWS = 60
PREPARED = (
    "market_regulation.enterprise",
    "health.institution",
    "public_security.resident",
    "ecology.air_quality",
    "base.legal_person",
    "civil_affairs.marriage",
)
"""Their first day is run undisturbed."""
Seen = TypeVar("Seen")
TRIED = (
    ("education.school", 1),
    ("market_regulation.enterprise", 2),
    ("public_security.resident", 2),
    ("ecology.air_quality", 2),
    ("base.legal_person", 2),
    ("civil_affairs.marriage", 2),
)
"""Dataset and day: a file, into tables that are not there yet; a database whole, and by its cursor; an API; the lake
itself; fields by sharing. Merges by snapshot, upsert and append; shared and opened, with downloads."""


@dataclass(frozen=True)
class Step:
    """One stage of one batch."""

    dataset: str
    day: int
    stage: Stage
    part: str

    def __str__(self) -> str:
        return f"{self.dataset} {self.stage} {self.part}".rstrip()


class Lake:
    """A city in `folder` and its lake at `<folder>/home`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.city = City(folder / "sources", Settings(home=self.home), ROWS)
        self._error = folder / "error"
        self._waiting: list[int] = []

    @cached_property
    def _catalogue(self) -> Catalogue:
        return load_catalogue(self.city.settings.catalogue)

    @property
    def ctx(self) -> Context:
        """Opened anew, since what lies under it is put aside and taken back."""
        return Context(
            settings=self.city.settings,
            catalogue=self._catalogue,
            ledger=Ledger(self.city.settings.database_url, clock=lambda: NOW),
            connect=lambda name: self.city.connections[name],
            clock=lambda: NOW,
        )

    def work(self, step: Step, ctx: Callable[[], Context] | None = None) -> Callable[[], None]:
        """The stage, for another process to do; what it raises there is written down."""

        def stage() -> None:
            try:
                context = ctx() if ctx else self.ctx
                entry = context.catalogue.entry(step.dataset)
                run_stage(context, step.stage, batch_for(context, entry, DAYS[step.day - 1]), step.part)
            except BaseException:
                self._error.write_text(traceback.format_exc(), encoding="utf-8")
                raise

        return stage

    def undisturbed(self, step: Step) -> Ended:
        ended = run(self.work(step), self.home)
        if ended.code:
            raise AssertionError(f"{step} failed without a fault: {self.told()}")
        return ended

    def look(self, of: Callable[[Context], Seen]) -> Seen:
        """What there is to see of the lake."""
        return of(self.ctx)

    def forget(self) -> None:
        """What the last process that failed said is no more."""
        self._error.unlink(missing_ok=True)

    def told(self) -> str:
        """What the last process that failed said."""
        return self._error.read_text(encoding="utf-8") if self._error.exists() else ""

    def meanwhile(self, work: Callable[[], None], seconds: float = 2) -> int | None:
        """Do the work in another process; its exit code, or None where it waits for one that stands still. Then
        `wait` lets it come to its end."""
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work()
                code = 0
            finally:
                os._exit(code)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        self._waiting.append(child)
        return None

    def wait(self) -> None:
        while self._waiting:
            ended_child(self._waiting.pop(), PROGRAM)

    def put_aside(self, name: str) -> None:
        mirror(self.home, self.folder / name)

    def take_back(self, name: str) -> None:
        mirror(self.folder / name, self.home)

    def steps(self, dataset: str, day: int) -> list[Step]:
        entry = self._catalogue.entry(dataset)
        return [Step(dataset, day, stage, part) for stage in STAGES for part in parts(entry, stage)]


def mirror(source: Path, target: Path) -> None:
    """Make `target` as `source` is. A file of the same size and time is the same, but for those of databases, which write
    through memory."""
    target.mkdir(exist_ok=True)
    wanted = {each.name: each for each in os.scandir(source)}
    for there in os.scandir(target):
        if there.name not in wanted or there.is_dir() != wanted[there.name].is_dir():
            shutil.rmtree(there) if there.is_dir() else Path(there).unlink()
    for name, each in wanted.items():
        own = target / name
        if each.is_dir():
            mirror(Path(each), own)
        elif ".db" in name or not own.exists() or stamp(own) != stamp(Path(each)):
            own.unlink(missing_ok=True)  # whoever has it open still keeps what it was
            shutil.copy2(each, own)


def stamp(path: Path) -> tuple[int, int]:
    """Bytes of a file, and when it was last written, in nanoseconds."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@contextmanager
def prepared(folder: Path) -> Iterator[Lake]:
    """A lake that is still empty, before sources of the first day, whose API answers."""
    import expectations.run  # noqa: F401  paid once, here, and not in every process that is killed

    lake = Lake(folder)
    lake.city.write(1)
    with serving(lake.city.folder) as served:
        lake.city.connections |= served
        lake.home.mkdir(parents=True)
        yield lake


def all_steps(lake: Lake) -> list[Step]:
    return [step for dataset, day in TRIED for step in lake.steps(dataset, day)]


def way(lake: Lake) -> Iterator[Step]:
    """Every step to be tried, the lake being ready for it; whoever takes one must leave it done."""
    for dataset, day in TRIED:
        if day == 2 and not lake.ctx.ledger.runs(PREPARED[0]):
            prepare(lake)
        yield from lake.steps(dataset, day)


def prepare(lake: Lake) -> None:
    """The first day of the others, and sources of the second."""
    for dataset in PREPARED:
        lake.city.run(dataset, 1)
    served = {"ecology": lake.city.connections["ecology"]}
    lake.city.write(2)
    lake.city.connections |= served
