"""Forks do what this process would have done: the same results in the same order, the same error, and none is left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from schemas import house
from schemas.errors import CatalogueError
from schemas.forks import spread
from schemas.house import read_house
from schemas.load import load_catalogue
from schemas.rules import sources
from tests.conftest import write_catalogue
from tests.schemas.conftest import CITY, COUPLES, MARRIAGE, RESIDENT, edited
from tests.waiting import until

pytestmark = pytest.mark.timeout(60)

HERE = os.getpid()
SEVEN = 7
WRONG = {
    "theme/latin.yaml": "title: caf\xe9",
    "theme/tab.yaml": "id: theme.tab\n\ttitle: x\n",
    "theme/anchor.yaml": "id: &a theme.anchor\ntitle: *a\n",
    "theme/twice.yaml": CITY[RESIDENT].replace("open: {", "open: {type: none}\nopen: {"),
    "theme/list.yaml": "- id\n",
    "theme/empty.yaml": "",
    "theme/two.yaml": "id: a\n---\nid: b\n",
    "theme/deep.yaml": f"id: {'[' * 400}{']' * 400}\n",
}


def who(number: int) -> tuple[int, int]:
    return number, os.getpid()


def no_seven(number: int) -> int:
    if number == SEVEN:
        raise ValueError("no seven")
    return number


def killed_at_seven(number: int) -> int:
    if number == SEVEN and os.getpid() != HERE:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def large(number: int) -> tuple[int, int, bytes]:
    """More than a pipe holds."""
    return number, os.getpid(), bytes(1_000_000)


def spread_all(work: Callable, over: Sequence, processes: int) -> list:
    with spread(work, over, processes) as results:
        return list(results)


@pytest.fixture(autouse=True)
def none_is_left() -> Iterator[None]:
    """When a test is over its forks are, too; servers of other tests may be children of this process."""
    before = {child.pid for child in psutil.Process().children()}
    yield
    assert {child.pid for child in psutil.Process().children()} <= before


@pytest.mark.parametrize("processes", [1, 2, 3, 20])
def test_the_same_results_in_the_same_order(processes: int) -> None:
    found = spread_all(who, range(10), processes)
    assert [number for number, _ in found] == list(range(10))
    others = {process for _, process in found} - {os.getpid()}
    assert len(others) == (0 if processes == 1 else min(processes, 10))


def test_what_work_raises_is_raised_here() -> None:
    found = []
    with pytest.raises(ValueError, match="no seven"), spread(no_seven, range(10), 2) as results:
        found.extend(results)
    assert found == list(range(SEVEN))


def test_what_a_killed_fork_leaves_is_done_here() -> None:
    assert spread_all(killed_at_seven, range(100), 2) == list(range(100))
    with spread(large, range(10), 2) as results:
        _, fork, _ = next(results)
        time.sleep(0.2)  # until it is in the middle of a result
        os.kill(fork, signal.SIGKILL)
        assert [number for number, _, _ in results] == list(range(1, 10))


def test_where_no_fork_is_granted_all_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refused)
    assert spread_all(who, range(10), 2) == [(number, os.getpid()) for number in range(10)]


def test_forks_begin_before_and_end_when_nobody_reads_on(tmp_path: Path) -> None:
    with spread(Path.touch, [tmp_path / "a", tmp_path / "b"], 2):
        assert until(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists())
    with spread(bytes, [1_000_000] * 100, 2) as results:
        next(results)


def problems(root: Path, processes: int) -> list[str]:
    with pytest.raises(CatalogueError) as error:
        load_catalogue(root, processes=processes)
    return [str(problem) for problem in error.value.problems]


def test_every_problem_is_found_as_by_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edits = ((MARRIAGE, "grade: 1, formats", "grade: 9, formats"), (COUPLES, "count(*)", "count(nobody)"))
    root = write_catalogue(tmp_path, edited(*edits) | WRONG)
    (root / "theme/latin.yaml").write_bytes(WRONG["theme/latin.yaml"].encode("latin-1"))
    alone = problems(root, 2)
    forked = []
    for module in (house, sources):
        monkeypatch.setattr(module, "_MANY", 1)
        monkeypatch.setattr(module, "spread", lambda *given: forked.append(given[-1]) or spread(*given))
    assert problems(root, 2) == alone
    assert forked == [2, 2]
    assert len(alone) > len(WRONG)
    assert all(any(name in problem for problem in alone) for name in WRONG)


def test_a_valid_catalogue_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_catalogue(tmp_path, CITY)
    alone = load_catalogue(root)
    monkeypatch.setattr(house, "_MANY", 1)
    monkeypatch.setattr(sources, "_MANY", 1)
    assert load_catalogue(root, processes=2).entries == alone.entries
    assert list(load_catalogue(root, processes=2).entries) == list(alone.entries)


def test_what_forks_note_of_a_query_is_noted_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    city = read_house(write_catalogue(tmp_path, CITY))
    monkeypatch.setattr(sources, "_MANY", 1)
    with sources.queries_begun(city, 2) as found:
        assert list(found) == []
    assert city.drafts["theme.couples"].columns == {"reg_year": {"reg_year"}, "id_no": {"id_no"}}
