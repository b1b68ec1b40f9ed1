"""A catalogue that was judged is not judged again, and of it no more is read than is wanted."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from schemas import load, stamp
from schemas.errors import CatalogueError, XuanwuError
from schemas.load import load_catalogue
from tests.conftest import write_catalogue
from tests.schemas.conftest import CITY, COUPLES, MARRIAGE, RESIDENT

LONE = CITY[RESIDENT].replace("public_security.resident", "public_security.lone").replace("000001", "000009")
LONE = LONE.replace("element: person_name", "type: string, grade: 1").replace(
    "element: income", "type: string, grade: 1"
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A city of four datasets whose files have been as they are for long."""
    monkeypatch.setattr(stamp, "SETTLED", -(10**18))
    return write_catalogue(tmp_path / "catalogue", {**CITY, "public_security/lone.yaml": LONE})


@pytest.fixture
def stamps(tmp_path: Path) -> Path:
    return tmp_path / "home" / "stamps"


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many entries each judgement saw."""
    seen: list[int] = []
    whole = load.judge

    def counted(house: load.House, processes: int) -> None:
        seen.append(len(house.drafts))
        whole(house, processes)

    monkeypatch.setattr(load, "judge", counted)
    return seen


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every entry's file that was read."""
    seen: list[str] = []
    real = Path.read_bytes

    def noted(path: Path) -> bytes:
        if path.suffix == ".yaml":
            seen.append(f"{path.parent.name}/{path.name}")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    return seen


def test_a_dataset_is_read_with_what_it_speaks_of_and_nothing_else(
    root: Path, stamps: Path, judged: list[int], read: list[str]
) -> None:
    whole = load_catalogue(root, None, stamps)
    assert judged == [4] and len(whole.entries) == 4
    read.clear()
    some = load_catalogue(root, ["theme.couples"], stamps)
    assert judged == [4]
    assert {name for name in read if not name.startswith("catalogue/")} == {COUPLES, MARRIAGE, RESIDENT}
    assert some.entries == {name: whole.entries[name] for name in some.entries}
    assert (some.elements, some.departments, some.codes) == (whole.elements, whole.departments, whole.codes)
    assert len(load_catalogue(root, ["public_security.lone"], stamps).entries) == 1


def test_without_a_stamp_all_is_judged_whatever_is_wanted(
    root: Path, stamps: Path, judged: list[int]
) -> None:
    (root / MARRIAGE).write_text(CITY[MARRIAGE].replace("owner:", "ownr:"))
    for _ in range(2):
        with pytest.raises(CatalogueError):
            load_catalogue(root, ["public_security.resident"], stamps)
    assert judged == [4, 4]
    assert not stamps.exists()


@pytest.mark.parametrize("change", ["an entry", "an element", "a code list", "a new file", "a lost file"])
def test_a_change_anywhere_is_judged(root: Path, stamps: Path, judged: list[int], change: str) -> None:
    load_catalogue(root, ["public_security.lone"], stamps)
    path = {
        "an entry": root / MARRIAGE,
        "an element": root / "elements.yaml",
        "a code list": root / "codes/gender.csv",
        "a new file": root / "public_security" / "new.yaml",
        "a lost file": root / "public_security" / "lone.yaml",
    }[change]
    if change == "a lost file":
        path.unlink()
    elif change == "a new file":
        path.write_text(LONE.replace(".lone", ".new").replace("000009", "000010"))
    else:
        path.write_text(path.read_text() + "\n")
    load_catalogue(root, ["public_security.resident"], stamps)
    assert len(judged) == 2


def test_the_same_size_and_time_are_not_the_same_file(root: Path, stamps: Path, judged: list[int]) -> None:
    load_catalogue(root, None, stamps)
    path, told = root / MARRIAGE, (root / MARRIAGE).stat()
    path.write_text(path.read_text().replace('"302', '"303'))
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))
    assert path.stat().st_size == told.st_size
    load_catalogue(root, None, stamps)
    assert len(judged) == 2


def test_a_file_changed_just_now_is_not_trusted(
    root: Path, stamps: Path, judged: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamp, "SETTLED", 2_000_000_000)
    (root / MARRIAGE).touch()
    for _ in range(2):
        load_catalogue(root, None, stamps)
    assert judged == [4, 4]


def test_a_file_changed_while_it_was_judged_leaves_no_stamp(
    root: Path, stamps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load.judge

    def meddle(house: load.House, processes: int) -> None:
        whole(house, processes)
        (root / MARRIAGE).write_text(CITY[MARRIAGE] + "\n")

    monkeypatch.setattr(load, "judge", meddle)
    load_catalogue(root, None, stamps)
    assert not stamps.exists()


def test_a_broken_stamp_or_an_unwritable_folder_costs_a_judgement_and_nothing_else(
    root: Path, stamps: Path, judged: list[int]
) -> None:
    stamps.parent.mkdir()
    stamps.write_text("a file where the folder should be")
    load_catalogue(root, None, stamps)
    stamps.unlink()
    load_catalogue(root, None, stamps)
    (kept,) = stamps.iterdir()
    kept.write_bytes(b"\xff\x00")
    load_catalogue(root, None, stamps)
    load_catalogue(root, None, stamps)
    assert judged == [4, 4, 4]


def test_an_unknown_dataset_is_named_with_near_misses_of_the_whole_city(root: Path, stamps: Path) -> None:
    load_catalogue(root, None, stamps)
    for wrong in ("civil_affairs.marriag", "../civil_affairs.marriage", "civil_affairs"):
        some = load_catalogue(root, [wrong], stamps)
        with pytest.raises(
            XuanwuError, match="did you mean `civil_affairs.marriage`" if "." in wrong else "no dataset"
        ):
            some.entry(wrong)


def test_files_settle(tmp_path: Path) -> None:
    root = write_catalogue(tmp_path / "catalogue", CITY)
    assert not stamp.taken(root).settled
    old = time.time_ns() - 10**10
    assert stamp.taken(root).digest == stamp.taken(root).digest
    for path in root.rglob("*"):
        os.utime(path, ns=(old, old))
    assert not stamp.taken(root).settled, "the time of the change itself cannot be set back"
