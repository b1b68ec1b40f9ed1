"""Merges that are killed, and merges that meet."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lake import store
from schemas.settings import Settings
from tests.pipelines.merging.making import City, MakeCatalogue, Row, counts
from tests.waiting import line

FIELDS = {"id": {"type": "string"}, "v": {"type": "integer"}}

MERGER = """
import json, os, signal, sys
from pathlib import Path

from pyiceberg.table import Table
from schemas.load import load_catalogue
from schemas.settings import Settings
from tests.conftest import write_catalogue
from tests.pipelines.merging.making import City

home, moment, day, rows = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
commit = Table._do_commit

def die(self, *args, **kwargs):
    if moment == "after":
        commit(self, *args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)

fields = {"id": {"type": "string"}, "v": {"type": "integer"}}
make = lambda files: load_catalogue(write_catalogue(home / f"catalogue{day}", files))
city = City(Settings(home=home), make, fields)
city.merge(0, [])
print("ready", flush=True)
sys.stdin.readline()
if moment != "never":
    Table._do_commit = die
city.merge(day, rows)
"""


def merger(settings: Settings, moment: str, day: int, rows: str) -> subprocess.Popen[str]:
    """A process that has opened the lake and waits for a line before it merges."""
    command = [sys.executable, "-c", MERGER, str(settings.home), moment, str(day), rows]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert line(process) == "ready\n"
    return process


def pairs(**values: int) -> list[Row]:
    return [{"id": name, "v": value} for name, value in values.items()]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_merge_killed_around_its_commit_ends_the_same(
    settings: Settings, make_catalogue: MakeCatalogue, moment: str
) -> None:
    here = City(settings, make_catalogue, FIELDS)
    here.merge(1, pairs(a=1, b=2))
    process = merger(settings, moment, 2, '[{"id": "b", "v": 3}, {"id": "c", "v": 4}]')
    process.communicate("go\n", timeout=120)
    assert process.returncode == -9
    written = [path for path in store.list_files(settings.lake_root) if path.endswith(".parquet")]
    assert len(written) == 2
    assert here.rows() == (pairs(a=1, b=2) if moment == "before" else pairs(a=1, b=3, c=4))
    again = here.merge(2, pairs(b=3, c=4))
    assert counts(again) == {"inserted": 1, "updated": 1}
    assert (again.total_before, again.total) == (2, 3)
    assert here.rows() == pairs(a=1, b=3, c=4)


def test_two_batches_merged_at_once_lose_nothing(settings: Settings, make_catalogue: MakeCatalogue) -> None:
    """Both change one row and add one; whoever commits second plans again on what the first one left."""
    here = City(settings, make_catalogue, FIELDS)
    here.merge(1, pairs(a=1, z=0))
    processes = [
        merger(settings, "never", 2, '[{"id": "a", "v": 2}, {"id": "b", "v": 2}]'),
        merger(settings, "never", 3, '[{"id": "a", "v": 3}, {"id": "c", "v": 3}]'),
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert here.rows() == pairs(a=3, b=2, c=3, z=0)
    second, third = here.merge(2, pairs(a=2, b=2)), here.merge(3, pairs(a=3, c=3))
    assert max(second.total, third.total) == 4
    assert (second.inserted, third.inserted, third.updated) == (1, 1, 1)
