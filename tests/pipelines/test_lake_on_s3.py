"""The lake on a real S3 server: landing, records, tables and merges are the same there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lake import landing, recordstore, store, upkeep
from lake import s3 as s3_store
from lake.auditlog import AuditLog
from lake.incidents import Said, incidents, path_of
from lake.registering import record
from lake.signing import Signer
from lake.verify import Copy, verify
from lake.zones import identifier
from schemas.settings import Settings
from tests.lake.making import batch_of, landed
from tests.pipelines.merging.making import City, MakeCatalogue, counts
from tests.s3 import KEY, S3, SECRET


@pytest.fixture
def on_s3(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Settings:
    for name, value in s3.variables.items():
        monkeypatch.setenv(name, value)
    return Settings(home=tmp_path / "home", lake=f"{s3.bucket('lake')}/{request.node.name}")


def test_files(on_s3: Settings) -> None:
    uri = store.join(on_s3.lake_root, "一", "x.json")
    store.write_atomic(uri, b"one")
    store.write_atomic(uri, b"two")
    assert (store.read_bytes(uri), store.size_of(uri), store.exists(uri)) == (b"two", 3, True)
    assert store.list_files(on_s3.lake_root) == [uri]
    assert store.list_folders(on_s3.lake_root) == [store.join(on_s3.lake_root, "一")]
    with pytest.raises(ZeroDivisionError), store.output(uri) as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert store.read_bytes(uri) == b"two"
    store.remove_tree(on_s3.lake_root)
    store.remove_tree(on_s3.lake_root)
    assert store.list_files(on_s3.lake_root) == []


def test_landing_and_records(on_s3: Settings) -> None:
    batch = batch_of(1)
    with landing.open_landing(on_s3, batch) as writer:
        path, *_ = writer.add_stream("a.csv", [b"x"])
        record = writer.commit(landed(batch, 1, path))
    assert landing.landed(on_s3, batch) == record
    assert list(landing.history(on_s3, "dept.data")) == [record]
    recordstore.save(on_s3, record, "collect")
    assert recordstore.load(on_s3, batch, "collect") == record


def test_incidents(on_s3: Settings) -> None:
    now = datetime(2026, 3, 5, 12, tzinfo=UTC)
    log = AuditLog(on_s3, Signer(Ed25519PrivateKey.generate()), lambda: now)
    said = {"by": "值班", "when": now, "texts": {"what": "疑似泄露"}}
    record(on_s3, log, Said(kind="open", level="major", **said))
    record(on_s3, log, Said(kind="close", **said), 1)
    assert record(on_s3, log, Said(kind="open", level="general", **said))[0].incident == 2
    assert [(each.number, len(each.steps)) for each in incidents(on_s3.lake_root)] == [(2, 1), (1, 2)]
    assert list(verify(Copy(on_s3.lake_root), log.signer.trust)) == []
    store.remove_file(store.join(on_s3.lake_root, path_of(1, 2)))
    assert [each.place for each in verify(Copy(on_s3.lake_root), log.signer.trust)] == [path_of(1, 2)]


def test_tables_and_merges(on_s3: Settings, make_catalogue: MakeCatalogue) -> None:
    here = City(on_s3, make_catalogue, {"id": {"type": "string"}, "v": {"type": "integer"}}, kind="snapshot")
    here.merge(1, [{"id": "a", "v": 1}, {"id": "b", "v": 1}])
    second = here.merge(2, [{"id": "b", "v": 2}, {"id": "中", "v": 3}])
    assert counts(second) == {"inserted": 1, "updated": 1, "deleted": 1}
    assert here.rows() == [{"id": "b", "v": 2}, {"id": "中", "v": 3}]
    assert all(path.startswith("s3://lake/") for path in here.files())
    table = identifier("curated", "dept.data")
    orphan = store.join(here.ctx.tables.location(table), "data", "orphan.parquet")
    store.write_atomic(orphan, b"of a killed writer")
    assert upkeep.clean(on_s3, here.ctx.tables, datetime.now(UTC)).files == 0
    removed = upkeep.clean(on_s3, here.ctx.tables, datetime.now(UTC) + timedelta(days=91))
    assert removed.snapshots == 1 and not store.exists(orphan)
    assert here.rows() == [{"id": "b", "v": 2}, {"id": "中", "v": 3}]
    here.ctx.tables.drop(table)
    assert store.list_files(here.ctx.tables.location(table)) == []


@pytest.mark.parametrize("limit", [s3_store.COPY_BYTES, 1])
def test_a_big_file_goes_up_in_parts(on_s3: Settings, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """And gets its name in one request, or in parts where it is more than one request copies."""
    monkeypatch.setattr(s3_store, "COPY_BYTES", limit)
    uri, block = store.join(on_s3.lake_root, "大.bin"), bytes(range(256)) * 4096
    digest, size = store.write_stream(uri, [block] * 21)
    assert size == 21 << 20
    assert store.digest_of(uri) == (digest, size)
    assert store.files_unchanged_since(on_s3.lake_root, datetime.now(UTC) + timedelta(days=1)) == [uri]


def test_keys_come_from_a_profile(on_s3: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every S3 client finds them; and wrong ones are told without the key."""
    uri = store.join(on_s3.lake_root, "x")
    store.write_atomic(uri, b"x")
    profile = tmp_path / "credentials"
    profile.write_text(f"[lake]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))
    monkeypatch.setenv("AWS_PROFILE", "lake")
    assert store.read_bytes(uri) == b"x"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "NOSUCHKEY7Q")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(OSError) as caught:
        store.read_bytes(uri)
    words = str(store.refused(caught.value))
    assert "ACCESS_DENIED" in words and "the keys and the bucket" in words
    assert "NOSUCHKEY7Q" not in words


@pytest.mark.parametrize(("told", "attempts"), [("", 5), ("2", 2), ("0", 1), ("many", 5)])
def test_how_often_a_request_is_made(monkeypatch: pytest.MonkeyPatch, told: str, attempts: int) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", told)
    assert s3_store.Retries().max_attempts == attempts
