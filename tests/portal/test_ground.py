"""Whoever can write in the folder that is served leads no build out of it, and whoever names another folder loses
nothing there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from portal.writing import MARKER, SUMS
from schemas.errors import SettingsError
from tests.portal.test_writing import NEW_TEXTS, files, new, old


@pytest.fixture
def site(tmp_path: Path) -> Path:
    old(tmp_path / "site", tmp_path / "lake")
    return tmp_path / "site"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir(mode=0o700)
    (folder / "theirs").write_bytes(b"theirs")
    (folder / "theirs").chmod(0o600)
    (folder / ".theirs.12345678.tmp").touch()
    return folder


def untouched(folder: Path) -> bool:
    modes = [each.stat().st_mode & 0o777 for each in (folder, folder / "theirs")]
    return modes == [0o700, 0o600] and files(folder) == {"theirs": b"theirs", ".theirs.12345678.tmp": b""}


def test_nothing_is_swept_out_of_a_folder_that_is_no_site(outside: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is no site of ours"):
        new(outside, tmp_path / "lake")
    assert untouched(outside)


@pytest.mark.parametrize("name", [".profile", "link", "pipe"])
def test_a_folder_with_a_hidden_file_or_a_link_is_somebody_s(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    {".profile": Path.touch, "link": lambda path: path.symlink_to("/"), "pipe": os.mkfifo}[name](
        folder / name
    )
    with pytest.raises(SettingsError, match="is no site of ours"):
        new(folder, tmp_path / "lake")
    assert [each.name for each in folder.iterdir()] == [name]


def test_what_a_build_killed_before_its_marker_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / f"site/.{MARKER}.12345678.tmp").touch()
    new(tmp_path / "site", tmp_path / "lake")
    assert files(tmp_path / "site").keys() == {*NEW_TEXTS, "data/b.csv", SUMS}


def test_nothing_is_written_through_a_link(site: Path, outside: Path, tmp_path: Path) -> None:
    (site / "data/a.csv").unlink()
    (site / "data/a.html").unlink()
    (site / "data").rmdir()
    (site / "data").symlink_to(outside)
    before = files(site)
    with pytest.raises(SettingsError, match="data in the site is a link"):
        new(site, tmp_path / "lake")
    assert untouched(outside) and files(site) == before


def test_nothing_is_removed_through_a_link(site: Path, outside: Path, tmp_path: Path) -> None:
    (site / "there").symlink_to(outside)
    (site / MARKER).write_text(json.dumps(["about.html", "there/theirs"]))
    with pytest.raises(SettingsError, match="there in the site is a link"):
        new(site, tmp_path / "lake")
    assert untouched(outside)


def test_what_others_led_elsewhere_beside_the_site_s_stays(site: Path, outside: Path, tmp_path: Path) -> None:
    (site / "theirs").symlink_to(outside)
    (site / "round").symlink_to(site)
    new(site, tmp_path / "lake")
    assert untouched(outside) and (site / "theirs/theirs").exists()


def test_a_link_in_a_file_s_place_is_no_file_of_ours(site: Path, outside: Path, tmp_path: Path) -> None:
    for name in ("about.html", "data/a.csv"):
        (site / name).unlink()
        (site / name).symlink_to(outside / "theirs")
    new(site, tmp_path / "lake")
    assert (site / "about.html").read_bytes() == b"about" and not (site / "about.html").is_symlink()
    assert not os.path.lexists(site / "data/a.csv") and untouched(outside)


def test_the_rights_of_what_a_link_leads_to_stay(site: Path, outside: Path, tmp_path: Path) -> None:
    """A link that is put in the place of a file which a build has just written."""
    from portal.ground import open_up

    (site / "about.html").unlink()
    (site / "about.html").symlink_to(outside / "theirs")
    with pytest.raises(OSError, match=r"symbolic links"):
        open_up(str(site), "about.html")
    assert untouched(outside)


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "site").symlink_to(tmp_path / "real")
    old(tmp_path / "site", tmp_path / "lake")
    assert new(tmp_path / "site", tmp_path / "lake").removed == 2
    assert files(tmp_path / "real").keys() == {*NEW_TEXTS, "data/b.csv", SUMS}


@pytest.mark.parametrize(
    "said",
    ['["../outside/theirs"]', '["/etc/hostname"]', "junk", '{"a": 1}', "[1, null]", '["a\\u0000b"]', "\xff"],
)
def test_a_marker_that_no_build_wrote(site: Path, outside: Path, tmp_path: Path, said: str) -> None:
    (site / MARKER).write_bytes(said.encode("latin-1"))
    before = files(site)
    with pytest.raises(SettingsError, match=r"\.portal\.json is not as a build left it"):
        new(site, tmp_path / "lake")
    assert untouched(outside) and files(site) == before


def test_a_marker_that_names_folders(site: Path, tmp_path: Path) -> None:
    (site / MARKER).write_text(json.dumps([*json.loads((site / MARKER).read_text()), "data", "."]))
    assert new(site, tmp_path / "lake").removed == 2


@pytest.mark.parametrize("said", [b"", b"\xff\xfe\0\n\n  \nabc  ../../x\n", None])
def test_sums_that_say_nothing_make_all_of_it_new(site: Path, tmp_path: Path, said: bytes | None) -> None:
    (site / SUMS).unlink()
    if said is not None:
        (site / SUMS).write_bytes(said)
    done = old(site, tmp_path / "lake")
    assert (done.copied, done.written, done.unchanged) == (1, 3, 0)
