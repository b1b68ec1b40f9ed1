"""Hostile names and values, and a hostile umask: nothing escapes, nothing breaks, and every file is its owner's alone."""

from __future__ import annotations

import base64
import io
import json
import os
import stat
import sys
import zipfile
from pathlib import Path

import duckdb
import pytest

from lake import landing, quarantine, store, zones
from lake.search import Needles, files_below, search
from lake.verify import Copy, verify
from lake.zones import identifier
from schemas.errors import LakeError, SettingsError, SourceError, XuanwuError
from schemas.sql import literal, quote
from tests.pipelines.building import batch_of, context_of, entry_of
from tests.pipelines.erasure.town import HOSTS, KEY, Town, csv_of, person, visits
from tests.waiting import ran

NAMES = (
    "../../etc/passwd",
    "/etc/passwd",
    "%2e%2e%2fetc%2fpasswd",
    "..\\..\\windows",
    "a\0b",
    "a'; DROP TABLE attempts; --",
    'a"; DROP TABLE x; --',
    "a;b",
    "a\nb",
    "*",
    "a*b?[c]",
    "x" * 5000,
    "ｐｏｌｉｃｅ．ｐｅｒｓｏｎ",
    "роlice.person",
    "\u202egnp.exe",
    "select",
    "con.",
    ".",
    "",
    " ",
    "$(id)",
    "`id`",
    "${jndi:ldap://x}",
)


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_no_dataset_or_batch_id_leaves_the_lake(tmp_path: Path, name: str) -> None:
    settings = context_of(Town(tmp_path).settings).settings
    for dataset in (name, f"police.{name}", f"{name}.person")[: 1 if name == "select" else 3]:
        with pytest.raises(LakeError):
            zones.folder(settings, "landing", dataset)
        with pytest.raises(LakeError):
            identifier("curated", dataset)
    if name not in ("select", "con."):
        with pytest.raises(LakeError):
            zones.folder(settings, "landing", "police.person", name)


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_landed_file_s_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    """Whatever a department calls a file, it lies in its batch's folder, under a name every store takes."""
    settings = Town(tmp_path).settings
    with landing.open_landing(settings, batch_of("police.person")) as writer:
        path, _, _ = writer.add_stream(name, [b"x"])
    folder = Path(zones.folder(settings, "landing", "police.person", batch_of("police.person").id)) / "files"
    assert Path(path).parent == folder
    assert Path(path).resolve().parent == folder.resolve()
    assert Path(path).read_bytes() == b"x"
    assert len(Path(path).name.encode()) <= 255


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_members_of_an_archive_are_read_in_place(tmp_path: Path, name: str) -> None:
    """No member is ever extracted: one of a hostile name is read, or refused in our words, and no file appears."""
    (tmp_path / "in").mkdir()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name or "a"), "no,x\n1,2\n")
    (tmp_path / "in" / "x.zip").write_bytes(packed.getvalue())
    source = {"kind": "file", "connection": "dept", "path": "x.zip", "format": "csv"}
    entry = entry_of("dept.data", source, {"no": "string", "x": "string"})
    ctx = context_of(Town(tmp_path).settings, [entry], {"dept": str(tmp_path / "in")})
    before = {str(path) for path in tmp_path.rglob("*")}
    from pipelines.collect import collect

    try:
        assert collect(ctx, entry, batch_of("dept.data")).rows == 1
    except SourceError as error:
        assert "\n" not in str(error)
    made = {str(path) for path in tmp_path.rglob("*")} - before
    assert all(path.startswith(str(tmp_path / "home")) for path in made)
    assert not [path for path in made if path.endswith(("passwd", "windows", ".exe"))]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_connections_columns_and_literals(tmp_path: Path, name: str) -> None:
    """A connection's name finds that connection or none; an identifier or text in SQL is only itself."""
    from pipelines.connections import from_environment

    if "\0" not in name:
        with pytest.raises(SettingsError):
            from_environment(name)
    with duckdb.connect() as db:
        if "\0" not in name:
            assert db.execute(f"SELECT {literal(name)}").fetchone() == (name,)
            if name:
                found = db.execute(f"SELECT 1 AS {quote(name)}")
                assert found.description[0][0] == name
    with pytest.raises(XuanwuError):
        context_of(Town(tmp_path).settings).catalogue.entry(name)


def test_the_command_line_takes_no_hostile_dataset(tmp_path: Path) -> None:
    town = Town(tmp_path)
    for name in ("../../etc/passwd", "police.person; id", "*", "police.person\n"):
        told = town.xuanwu("run", name)
        assert told.returncode == 1 and "Traceback" not in told.stderr, told.stderr
        assert told.stderr.count("\n") == 1
    assert not (town.lake / "landing").exists()


# ── SQL of entries ────────────────────────────────────────────────────────────────────────────────────────

READS = (
    "no IN (SELECT column0 FROM read_csv('/etc/passwd'))",
    "no IN (SELECT content FROM read_text('/etc/passwd'))",
    "no IN (SELECT x FROM '/tmp/x.parquet')",
    "getenv('HOME') IS NOT NULL",
    "no = '1'; COPY (SELECT 1) TO '/tmp/knry-out'",
    "no = '1'; ATTACH '/tmp/knry.db'",
    "no = '1'; INSTALL httpfs; LOAD httpfs",
    "no = '1'; SET enable_external_access = true",
)


@pytest.mark.parametrize("condition", READS, ids=range(len(READS)))
def test_a_check_s_condition_reads_nothing_but_the_batch(tmp_path: Path, condition: str) -> None:
    """A condition is parsed, never pasted; and the engine that runs checks reads the batch's files and no others."""
    from pipelines.check import check
    from pipelines.collect import collect
    from pipelines.engine import confine, engine
    from pipelines.standardise import standardise

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.csv").write_text("no,x\n1,2\n")
    source = {"kind": "file", "connection": "dept", "path": "x.csv", "format": "csv"}
    rule = {"expect": "expect_column_values_to_match_regex", "column": "x", "regex": "^9$", "on_fail": "stop"}
    fields = {"no": "string", "x": "string"}
    entry = entry_of("dept.data", source, fields, checks=({**rule, "row_condition": condition},))
    ctx = context_of(Town(tmp_path).settings, [entry], {"dept": str(tmp_path / "in")})
    done = standardise(ctx, entry, collect(ctx, entry, batch_of("dept.data")))
    with pytest.raises(XuanwuError):
        check(ctx, entry, done)
    with engine(ctx.settings) as db:
        db.execute(f"CREATE VIEW batch AS SELECT * FROM read_parquet({literal(done.path)})")
        confine(db, [done.path])
        assert db.execute("SELECT count(*) FROM batch").fetchone() == (1,)
        with pytest.raises(duckdb.Error):
            db.execute(f"SELECT * FROM batch WHERE {condition}").fetchall()
    assert not Path("/tmp/knry-out").exists() and not Path("/tmp/knry.db").exists()


# ── values ────────────────────────────────────────────────────────────────────────────────────────────────


def test_naughty_strings_go_the_whole_way(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Big List of Naughty Strings as cells of a row: every one is landed, published or set aside, and accounted
    for; downloads open; nothing is run."""
    path = shared / "messy-blns" / "blns.json"
    if not path.exists():
        pytest.skip(f"the list is not at {path}")
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    texts = json.loads(path.read_text("utf-8"))
    town = Town(
        tmp_path, source='{kind: file, connection: health, path: "visit_{date}.jsonl", format: jsonl}'
    )
    town.people()
    rows = [
        {
            "no": f"V{n:05}",
            "证件号": person(n % 50)[0],
            "ward": "甲",
            "fee": text if n % 5 == 0 else "1",
            "memo": text,
        }
        for n, text in enumerate(texts)
    ]
    lines = "\n".join(json.dumps(row) for row in rows)
    town.leave(1, lines.encode("utf-8", "surrogatepass"), "jsonl")
    town.run(1, "police.person", "health.visit")
    tables = town.ctx.tables
    curated = tables.row_count(identifier("curated", "health.visit"))
    aside = quarantine.count(tables, "health.visit")
    assert curated + aside == len(texts) > 400
    assert aside > 50
    kept = {
        row["no"]: row for b in tables.scan(identifier("curated", "health.visit")) for row in b.to_pylist()
    }
    assert all(row["memo"] in (rows[int(no[1:])]["memo"], None) for no, row in kept.items())
    assert [str(f) for f in verify(Copy(str(town.lake)))] == []
    told = town.xuanwu("quarantine", "show", "health.visit")
    assert told.returncode == 0, told.stderr
    assert "\x1b[" not in told.stdout and "\x07" not in told.stdout
    assert town.xuanwu("report").returncode == 0
    page = (town.settings.home / "report.html").read_text("utf-8")
    assert "<script>alert" not in page


# ── permissions ───────────────────────────────────────────────────────────────────────────────────────────


def lax(root: Path) -> list[str]:
    """Files and folders that others may read, write or enter."""
    return [
        f"{path.relative_to(root)} {stat.filemode(path.lstat().st_mode)}"
        for path in sorted(root.rglob("*"))
        if path.lstat().st_mode & 0o077
    ]


def test_every_file_is_its_owner_s_alone_under_any_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole run, its proofs, an erasure and upkeep in a process that is started with umask 000."""
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    town = Town(tmp_path)
    town.people()
    for day in (2, 3):
        town.leave(day, csv_of(visits(day)))
    env = os.environ | {
        "XUANWU_HOME": str(town.settings.home),
        "XUANWU_CATALOGUE": str(town.settings.catalogue),
        "XUANWU_CONN_POLICE": town.urls["police"],
        "XUANWU_CONN_HEALTH": town.urls["health"],
    }
    command = str(Path(sys.executable).parent / "xuanwu")
    for arguments, text in (
        (["run", *HOSTS, "--date", "2026-03-02"], ""),
        (["run", *HOSTS, "--date", "2026-03-03"], ""),
        (["erase", "--basis", "X"], person(7)[0]),
        (["report"], ""),
        (["upkeep"], ""),
    ):
        done = ran(
            [command, *arguments], env=env, input=text, umask=0, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    found = list(town.settings.home.rglob("*"))
    assert len(found) > 200
    assert {path.suffix for path in found} >= {".parquet", ".avro", ".json", ".db", ".csv", ".html", ".pem"}
    assert lax(town.settings.home) == []
    assert not town.settings.home.stat().st_mode & 0o077
    (town.settings.home / "open.txt").touch()
    (town.settings.home / "open.txt").chmod(0o644)
    assert lax(town.settings.home) == ["open.txt -rw-r--r--"], "the test can fail"


# ── secrets ───────────────────────────────────────────────────────────────────────────────────────────────


def test_no_secret_is_written_or_told(tmp_path: Path) -> None:
    """Keys and passwords in the environment: in no file, no message and no argument of a process."""
    town = Town(tmp_path)
    town.people()
    key, signing, password = os.urandom(32).hex(), os.urandom(32).hex(), "KNRYpw7Qäö/@"
    env = os.environ | {
        "XUANWU_HOME": str(town.settings.home),
        "XUANWU_CATALOGUE": str(town.settings.catalogue),
        "XUANWU_CONN_POLICE": town.urls["police"],
        "XUANWU_CONN_HEALTH": f"postgresql+psycopg://reader:{password}@127.0.0.1:1/x",
        "XUANWU_DATABASE": f"postgresql+psycopg://ledger:{password}@127.0.0.1:1/x",
        "XUANWU_KEY_1": key,
        "XUANWU_SIGNING_KEY": signing,
    }
    command = str(Path(sys.executable).parent / "xuanwu")
    said = ""
    for broken in ("XUANWU_CONN_HEALTH", "XUANWU_DATABASE", ""):
        own = {name: value for name, value in env.items() if name != "XUANWU_DATABASE" or broken == name}
        dataset = "health.visit" if broken == "XUANWU_CONN_HEALTH" else "police.person"
        done = ran(
            [command, "run", dataset, "--date", "2026-03-02"],
            env=own,
            capture_output=True,
            text=True,
            check=False,
        )
        said += done.stdout + done.stderr
        assert (done.returncode == 0) == (not broken), done.stderr
    wanted = Needles([key, signing, password, "KNRYpw7Q", base64.b64encode(bytes.fromhex(key)).decode()])
    assert wanted.among(said.encode()) == set()
    assert search(files_below(str(town.settings.home)), wanted).found == {}
    assert search([str(tmp_path / "x")], wanted).found == {}
    (tmp_path / "x").write_text(f"…{signing}")
    assert search([str(tmp_path / "x")], wanted).found, "the search can find what it looks for"


def test_store_refuses_what_is_no_name_inside_it() -> None:
    for part in ("..", "a/../b", "/a", "", "a\0b"):
        with pytest.raises(LakeError):
            store.join("/lake", part)
