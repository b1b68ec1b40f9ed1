"""The object store that is killed while a stage stands at one of its calls: SeaweedFS, with a lake on it."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from pipelines.context import Context
from schemas.settings import Settings
from tests.city.running import City
from tests.faults.lake import ROWS, Lake, Seen, Step
from tests.faults.stopping import Call
from tests.faults.trying import Fault, Outcome, tried
from tests.s3 import S3, Server, served
from tests.waiting import LIMIT, PROGRAM

BUCKET: Final = "faults"
FORK: Final = multiprocessing.get_context("fork")
TRIED: Final = ("education.school", 1)
"""A file into tables that are not there yet, shared and opened, with downloads."""


class LakeOnS3(Lake):
    """As `Lake`, with everything but the databases on a server of its own."""

    def __init__(self, folder: Path, server: Server, s3: S3) -> None:
        super().__init__(folder)
        self.server, self.s3 = server, s3
        self.city = City(folder / "sources", Settings(home=self.home, lake=f"s3://{BUCKET}/lake"), ROWS)
        self.down = False
        self._aside: dict[str, dict[str, tuple[str, bytes]]] = {}

    def wait(self) -> None:
        """A server that was left dead answers again."""
        super().wait()
        if self.down:
            self.server.start()
            self.down = False

    def put_aside(self, name: str) -> None:
        super().put_aside(name)
        before = self._aside.get(name, {})
        self._aside[name] = {
            key: before[key] if before.get(key, ("",))[0] == tag else (tag, self._get(key))
            for key, tag in self._keys()
        }

    def take_back(self, name: str) -> None:
        super().take_back(name)
        there = dict(self._keys())
        for key in there.keys() - self._aside[name].keys():
            self.s3.client.delete_object(Bucket=BUCKET, Key=key)
        for key, (tag, data) in self._aside[name].items():
            if there.get(key) != tag:
                self.s3.client.put_object(Bucket=BUCKET, Key=key, Body=data)

    def look(self, of: Callable[[Context], Seen]) -> Seen:
        """In a process of its own: what was begun with Arrow's S3 client cannot be gone on with after a fork."""
        here, there = FORK.Pipe(duplex=False)
        looking = FORK.Process(target=lambda: there.send(of(self.ctx)))
        looking.start()
        there.close()
        try:
            if not here.poll(PROGRAM):
                pytest.fail(f"the look at the lake told nothing in {PROGRAM} s")
            found: Seen = here.recv()
            looking.join(LIMIT)
        finally:
            looking.kill()
        return found

    def _get(self, key: str) -> bytes:
        return bytes(self.s3.client.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def _keys(self) -> Iterator[tuple[str, str]]:
        """Every object, folders' own marks left out, with the tag that tells its content."""
        for page in self.s3.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            found = page.get("Contents", ())
            yield from ((each["Key"], each["ETag"]) for each in found if not each["Key"].endswith("/"))


def store_killed(lake: Lake, step: Step, call: Call, process: int) -> str:
    """The server dies and stays dead until the stage has ended."""
    assert isinstance(lake, LakeOnS3)
    lake.server.kill()
    lake.down = True
    return "the store was killed"


def store_restarted(lake: Lake, step: Step, call: Call, process: int) -> str:
    """The server dies and is there again: every connection is lost, and so is what was not acknowledged."""
    assert isinstance(lake, LakeOnS3)
    lake.server.kill()
    lake.server.start()
    return "the store was restarted"


def store_faults(number: int, count: int = 1) -> Sequence[Fault]:
    """Of a stage's number: killed and restarted in turn."""
    return [(store_killed, store_restarted)[(number + n) % 2] for n in range(count)]


def with_store(folder: Path, faults: int, seed: int = 0) -> Iterator[Outcome]:
    """Every stage of one dataset on S3, with so many faults of its store each."""
    chance = random.Random(seed)
    with prepared_on_s3(folder) as lake:
        for number, step in enumerate(lake.steps(*TRIED)):
            yield from tried(lake, step, store_faults(number, faults), chance)


@contextmanager
def prepared_on_s3(folder: Path) -> Iterator[LakeOnS3]:
    """A lake that is still empty, on a server of its own, before sources of the first day."""
    import expectations.run  # noqa: F401  paid once, here, and not in every process

    (folder / "store").mkdir(parents=True)
    with served(folder / "store") as (server, s3), pytest.MonkeyPatch.context() as patch:
        for name, value in {**s3.variables, "AWS_MAX_ATTEMPTS": "3"}.items():
            patch.setenv(name, value)
        s3.bucket(BUCKET)
        lake = LakeOnS3(folder, server, s3)
        lake.city.write(1)
        lake.home.mkdir(parents=True)
        yield lake
