"""Inner tables attested: what `verify` finds of them, and that a process killed anywhere costs nothing but a further word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from lake import attestations, store
from lake.attestations import attest
from lake.auditlog import AuditLog
from lake.signing import load_signer
from lake.tables import Tables
from lake.upkeep import expire, leads_to, remove_orphans
from lake.verify import Copy, catalogue, verify
from lake.zones import identifier
from schemas.errors import LakeError
from schemas.settings import Settings
from tests.conftest import NOW

TABLE = identifier("curated", "dept.data")
SCHEMA = pa.schema([("id", pa.int64())])


@pytest.fixture
def tables(settings: Settings) -> Tables:
    made = Tables(settings)
    made.ensure(TABLE, SCHEMA)
    return made


@pytest.fixture
def log(settings: Settings) -> AuditLog:
    return AuditLog(settings, load_signer(settings, lambda _: ""))


def add(tables: Tables, *ids: int) -> None:
    tables.replace(TABLE, pa.table({"id": ids}, schema=SCHEMA).to_reader(), (), {})


def wrong(settings: Settings) -> list[str]:
    return [str(each) for each in verify(Copy(settings.lake_root))]


def attested(settings: Settings) -> list[Path]:
    return sorted((Path(settings.lake_root) / attestations.FOLDER).rglob("*.json"))


def test_every_file_since_the_first_commit_and_each_is_read_once(
    settings: Settings, tables: Tables, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    digest_of = store.digest_of
    monkeypatch.setattr(store, "digest_of", lambda uri: (read.append(uri), digest_of(uri))[1])
    for ids in ((1, 2), (3,)):
        add(tables, *ids)
        attest(tables, log, TABLE)
    add(tables, 4)
    add(tables, 5)
    attest(tables, log, TABLE)
    attest(tables, log, TABLE)
    data = [uri for uri in read if uri.endswith(".parquet")]
    assert len(data) == len(set(data)) == 4
    assert len(attested(settings)) == 1
    (entry,) = [each for _, each in log.entries(2)]
    assert (entry["action"], entry["rows"]) == ("attest", 5)
    assert wrong(settings) == []
    found = attestations.decode(attested(settings)[0].read_bytes())
    lists = [each for each in found.lasting if "/snap-" in each.path]
    assert len(lists) == 4


def test_a_table_without_a_snapshot(settings: Settings, tables: Tables, log: AuditLog) -> None:
    attest(tables, log, TABLE)
    assert wrong(settings) == []
    add(tables, 1)
    attest(tables, log, TABLE)
    assert wrong(settings) == []


@pytest.fixture
def lived(settings: Settings, tables: Tables, log: AuditLog) -> Iterator[Path]:
    add(tables, 1, 2)
    attest(tables, log, TABLE)
    yield Path(settings.lake_root)


def test_a_commit_whose_process_was_killed_is_attested_by_the_next(
    settings: Settings, tables: Tables, log: AuditLog, lived: Path
) -> None:
    """Until then the lake is what it was, and the catalogue leads elsewhere."""
    add(tables, 3)
    looked = Copy(settings.lake_root)
    assert list(verify(looked)) == []
    assert [str(each) for each in catalogue.check(tables, looked)] == [
        "Iceberg's catalogue, curated.dept__data: it leads readers to other metadata than was logged last"
    ]
    attest(tables, log, TABLE)
    looked = Copy(settings.lake_root)
    assert [*verify(looked), *catalogue.check(tables, looked)] == []


def test_killed_after_the_log_and_before_the_file(
    settings: Settings, tables: Tables, log: AuditLog, lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tables, 3)
    with monkeypatch.context() as patch:
        patch.setattr(store, "write_atomic", _killed_at_attestation(store.write_atomic))
        with pytest.raises(KeyboardInterrupt):
            attest(tables, log, TABLE)
    assert any("the attestation of curated.dept__data is missing" in each for each in wrong(settings))
    attest(tables, log, TABLE)
    assert wrong(settings) == []


def _killed_at_attestation(write):  # type: ignore[no-untyped-def]
    def until(uri: str, data: bytes) -> None:
        if attestations.FOLDER in uri:
            raise KeyboardInterrupt
        write(uri, data)

    return until


def test_a_log_that_cannot_be_written(settings: Settings, tables: Tables, log: AuditLog, lived: Path) -> None:
    """The table stays attested as it was."""
    add(tables, 3)
    head = lived / "proof/log/head.json"
    right = head.read_bytes()
    head.write_bytes(b"{}")
    with pytest.raises(LakeError):
        attest(tables, log, TABLE)
    head.write_bytes(right)
    assert len(attested(settings)) == 1
    assert wrong(settings) == []


def test_what_upkeep_removes_is_attested_no_more(
    settings: Settings, tables: Tables, log: AuditLog, lived: Path
) -> None:
    tables.replace(TABLE, pa.table({"id": [9]}, schema=SCHEMA).to_reader(), "all", {})
    attest(tables, log, TABLE)
    before = len(attestations.decode(attested(settings)[0].read_bytes()).files)
    assert expire(tables, TABLE, None) == 1
    attest(tables, log, TABLE, leads_to(tables, TABLE))
    assert len(attestations.decode(attested(settings)[0].read_bytes()).files) < before
    assert remove_orphans(tables, TABLE, NOW.replace(year=2100)) >= 2
    assert wrong(settings) == []


def test_an_attestation_that_nobody_logged(settings: Settings, lived: Path) -> None:
    (there,) = attested(settings)
    there.with_name("00009-made-up.metadata.json").write_bytes(there.read_bytes())
    assert any("00009-made-up" in each and "does not hold" in each for each in wrong(settings))
