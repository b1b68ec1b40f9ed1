"""The newest release is certified with its own publication: nobody thins it out before the next one is measured."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lake.verify import Copy, verify
from tests.pipelines.erasure.town import KEY, Town, csv_of, visits


def wrong(town: Town) -> tuple[list[str], list[str]]:
    looked = Copy(str(town.lake))
    return [str(each) for each in verify(looked)], looked.notes


def newest(town: Town) -> Path:
    return sorted(Path(town.lake, "released/open/health__visit").iterdir())[-1]


def thin_out(path: Path) -> None:
    rows = pq.read_table(path)
    path.chmod(0o600)
    pq.write_table(rows.slice(1), path)


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    town = Town(tmp_path)
    town.people()
    for day in (1, 2):
        town.leave(day, csv_of(visits(day)))
        town.run(day)
    return town


def test_the_newest_release_is_certified_with_its_publication(town: Town) -> None:
    assert wrong(town) == ([], [])
    name = newest(town).relative_to(town.lake).as_posix()
    thin_out(newest(town))
    (found,) = wrong(town)[0]
    assert found == f"{name}: the release is not the one that was certified: it was changed"


def test_what_was_thinned_out_stays_wrong_after_the_next_publication(town: Town) -> None:
    thinned = newest(town)
    thin_out(thinned)
    town.leave(3, csv_of(visits(3)))
    town.run(3)
    assert newest(town) != thinned
    assert [each for each in wrong(town)[0] if thinned.name in each]


def test_what_was_removed_stays_named_when_the_day_is_run_again(town: Town) -> None:
    removed = newest(town)
    removed.unlink()
    town.run(2)
    assert wrong(town)[0] == [
        f"{removed.relative_to(town.lake).as_posix()}: the release is missing: later ones are measured against it"
    ]
