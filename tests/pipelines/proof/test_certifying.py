"""Publications that are killed, that meet, and that cannot be logged: never a readable snapshot without proof."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lake import certificates, store
from lake.upkeep import remove_orphans
from lake.verify import Copy, ledger, verify
from pipelines.stages import run_batch, run_stage
from schemas.errors import CheckFailed, LakeError
from tests.pipelines.badinput.town import KEY, Town, batch_of, csv_of, path_source, rows
from tests.waiting import line

SHARED = ("share", "police__person__default")

PUBLISHER = """
import os, signal, sys
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog
from lake import auditlog, certificates, store
from lake.auditlog import AuditLog
from pipelines.proof import certifying
from pipelines.context import open_context
from pipelines.stages import run_stage
from schemas.errors import CommitConflict
from tests.pipelines.badinput.town import batch_of

moment, day, part = sys.argv[1], int(sys.argv[2]), sys.argv[3]

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

def at(place, name, number, before=lambda *args: True, half=False):
    real, seen = getattr(place, name), []
    def watched(*args, **kwargs):
        seen.append(1) if before(*args) else None
        if len(seen) == number and before(*args):
            if half:
                real(args[0], args[1][: len(args[1]) // 2], args[2])
            die()
        return real(*args, **kwargs)
    setattr(place, name, watched)

certificate = lambda uri, data: "proof/certificates" in uri
{
    "never": lambda: None,
    "before the certificate": lambda: at(store, "write_atomic", 1, certificate),
    "before the commit": lambda: at(SqlCatalog, "commit_table", 1),
    "after the commit": lambda: at(certifying, "completed", 1),
    "in the outcome's line": lambda: at(os, "pwrite", 2, half=True),
    "before the log's head": lambda: at(AuditLog, "_move_head", 2),
    "before the certificate is completed": lambda: at(store, "write_atomic", 2, certificate),
}[moment]()
ctx = open_context()
print("ready", flush=True)
sys.stdin.readline()
try:
    run_stage(ctx, "publish", batch_of(day), part)
except CommitConflict:
    sys.exit(3)
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUANWU_KEY_1", KEY)
        town = Town(tmp_path_factory.mktemp("town"), path_source("csv", "csv", encoding="utf-8"))
        town.leave("01", csv_of(rows(1)))
        town.run(1)
        yield town


def merged(town: Town, day: int) -> None:
    """A batch on the way as far as its merge."""
    town.leave(f"{day:02}", csv_of(rows(day)))
    for stage in ("collect", "standardise", "check", "merge"):
        run_stage(town.ctx, stage, batch_of(day))  # type: ignore[arg-type]


def publisher(town: Town, moment: str, day: int, part: str = "share/default") -> subprocess.Popen[str]:
    own = {
        "XUANWU_HOME": str(town.settings.home),
        "XUANWU_CATALOGUE": str(town.catalogue),
        "XUANWU_CONN_POLICE": town.urls["police"],
    }
    command = [sys.executable, "-c", PUBLISHER, moment, str(day), part]
    return subprocess.Popen(
        command, env={**os.environ, **own}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def wrong(town: Town) -> list[str]:
    looked = Copy(town.settings.lake_root)
    found = [str(finding) for finding in verify(looked)]
    return found + [str(finding) for finding in ledger.check(town.ctx.ledger, looked.certificates)]


def republished(town: Town, day: int) -> None:
    for part in ("share/default", "open/open"):
        run_stage(town.ctx, "publish", batch_of(day), part)


KILLS = {
    "before the certificate": False,
    "before the commit": False,
    "after the commit": True,
    "in the outcome's line": True,
    "before the log's head": True,
    "before the certificate is completed": True,
}
"""When the process is killed, and whether its snapshot stands then."""


@pytest.mark.parametrize("moment", KILLS)
def test_killed_and_run_again(town: Town, moment: str) -> None:
    day = 2 + list(KILLS).index(moment)
    merged(town, day)
    before = town.ctx.tables.current_snapshot(SHARED)
    process = publisher(town, moment, day)
    process.communicate("go\n", timeout=120)
    assert process.returncode == -9
    snapshot = town.ctx.tables.current_snapshot(SHARED)
    assert (snapshot != before) == KILLS[moment]
    lake, path = town.settings.lake_root, certificates.path_of(*SHARED, snapshot or 0)
    assert certificates.load(lake, path), "no readable snapshot without its certificate"
    republished(town, day)
    if moment == "before the certificate":
        assert all("no certificate names this file" in each for each in wrong(town))
        remove_orphans(town.ctx.tables, SHARED, datetime.now(UTC) + timedelta(days=1))
    assert wrong(town) == []


def test_killed_after_the_commit_and_followed_by_the_next_batch(town: Town) -> None:
    """The next publication writes the outcome of the one before it."""
    merged(town, 10)
    process = publisher(town, "after the commit", 10)
    process.communicate("go\n", timeout=120)
    assert process.returncode == -9
    assert wrong(town)
    town.leave("11", csv_of(rows(11)))
    town.run(11)
    assert [each for each in wrong(town) if "no attempt that was done" not in each] == []
    republished(town, 10)
    assert [each for each in wrong(town) if "no attempt that was done" not in each] == []


def test_publications_that_meet(town: Town) -> None:
    """Two batches into one table at once, and the open zone beside: whoever loses leaves nothing behind."""
    merged(town, 12)
    merged(town, 13)
    parts = [(12, "share/default"), (13, "share/default"), (12, "open/open"), (13, "open/open")]
    processes = [publisher(town, "never", day, part) for day, part in parts]
    for process in processes:
        assert line(process) == "ready\n"
    for process in processes:
        process.communicate("go\n", timeout=120)
    assert {process.returncode for process in processes} <= {0, 3}
    for day in (12, 13):
        republished(town, day)
    assert [each for each in wrong(town) if "no attempt that was done" not in each] == []


def test_a_certificate_is_completed_in_the_turn_of_its_entry(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that complete it the one whose entry is the last has written the file: nobody else's turn comes between."""
    merged(town, 16)
    log = os.open(Path(town.settings.lake_root, "proof/log"), os.O_RDONLY)
    write, turns = store.write_atomic, []

    def watched(uri: str, data: bytes) -> None:
        if "proof/certificates" in uri:
            try:
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                turns.append(json.loads(data)["certificate"]["metadata"] is not None)
            else:
                fcntl.flock(log, fcntl.LOCK_UN)
        write(uri, data)

    monkeypatch.setattr(store, "write_atomic", watched)
    run_stage(town.ctx, "publish", batch_of(16), "open/open")
    os.close(log)
    assert turns == [True]


def test_no_log_no_publication(town: Town, tmp_path: Path) -> None:
    """The log's folder is gone and cannot be made: nothing is committed, and nothing is left lying there."""
    merged(town, 14)
    log = Path(town.settings.lake_root, "proof/log")
    shutil.move(log, tmp_path / "log")
    log.write_bytes(b"")
    before = town.state()
    lying = sorted(Path(town.settings.lake_root, "share").rglob("*"))
    for part in ("share/default", "open/open"):
        with pytest.raises(LakeError, match="audit log cannot be written"):
            run_stage(town.ctx, "publish", batch_of(14), part)
    assert town.state() == before
    assert sorted(Path(town.settings.lake_root, "share").rglob("*")) == lying
    log.unlink()
    shutil.move(tmp_path / "log", log)
    republished(town, 14)
    assert [each for each in wrong(town) if "no attempt that was done" not in each] == []


def test_stopped_by_a_check_is_logged_without_values(town: Town) -> None:
    town.leave("15", csv_of([]))
    with pytest.raises(CheckFailed):
        list(run_batch(town.ctx, batch_of(15)))
    last = Path(town.settings.lake_root, "proof/log/00000000.jsonl").read_bytes().splitlines()[-1].decode()
    assert '"by":"CheckFailed"' in last
    assert '"result":"stopped"' in last


def test_run_again_adds_nothing_to_the_log_but_the_check(town: Town) -> None:
    log = Path(town.settings.lake_root, "proof/log/00000000.jsonl")
    before = len(log.read_bytes().splitlines())
    republished(town, 14)
    assert len(log.read_bytes().splitlines()) == before


def test_certificates_and_log_hold_no_personal_value(town: Town) -> None:
    proof = b"".join(
        path.read_bytes() for path in Path(town.settings.lake_root, "proof").rglob("*") if path.is_file()
    )
    assert "玄武区".encode() not in proof
    assert b"KNRY7Q" not in proof
    assert KEY.encode() not in proof
