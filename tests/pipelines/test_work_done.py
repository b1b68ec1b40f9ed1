"""What makes it fast, in counts: how often a zone's bytes are read, values hashed and texts looked at. Nothing is timed."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.contest import CATALOGUE, DATASET, FILE_SOURCE
from benchmarks.residents import SCHEMA, residents
from lake import store
from lake.records import Checked, Landed, Merged, Record, Standardised
from pipelines.batches import batch_for
from pipelines.collect import collect
from pipelines.context import Context, open_context
from pipelines.keys import Key
from pipelines.masks import apply, masked_rows, spans
from pipelines.masks.tokens import Tokens
from pipelines.merge import merge
from pipelines.merging import sql
from pipelines.publish import publish
from pipelines.standardise import standardise
from schemas.load import load_catalogue
from schemas.model import Field, Hmac, Partial, Redact

ROWS = 30_000
OPEN = "[division, station, registered_on, updated_at]"


def catalogue(folder: Path) -> Path:
    """The benchmark's, reading a Parquet file and opening what has large classes however few rows there are."""
    file = CATALOGUE / "public_security" / "resident.yaml"
    lines = [
        FILE_SOURCE.format(kind="parquet") if line.startswith("source:") else line
        for line in file.read_text().splitlines()
        if "registered_on: {kind: generalise" not in line and "updated_at: {kind: generalise" not in line
    ]
    copy = folder / "catalogue" / "public_security" / "resident.yaml"
    copy.parent.mkdir(parents=True)
    copy.write_text("\n".join(lines).replace(OPEN, "[division, station]"))
    return copy.parents[1]


def context(folder: Path, rows: int, monkeypatch: pytest.MonkeyPatch) -> Context:
    """A lake of its own, and the source beside it."""
    with pq.ParquetWriter(folder / "residents.parquet", SCHEMA, compression="zstd") as writer:
        for batch in residents(rows):
            writer.write_batch(batch)
    monkeypatch.setenv("XUANWU_HOME", str(folder / "home"))
    monkeypatch.setenv("XUANWU_CATALOGUE", str(catalogue(folder)))
    monkeypatch.setenv("XUANWU_CONN_BENCH", str(folder))
    monkeypatch.setenv("XUANWU_KEY_1", "3f9a1c7e5b2d8460f1e2d3c4b5a697887766554433221100ffeeddccbbaa9988")
    return open_context()


def bytes_read() -> int:
    """Bytes that this process has asked the system for, by whatever library."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["rchar"])


def parquet_of(ctx: Context, zone: str) -> list[str]:
    return [
        each for each in store.list_files(f"{ctx.settings.lake_root}/{zone}") if each.endswith(".parquet")
    ]


def size(ctx: Context, zone: str) -> int:
    return sum(map(store.size_of, parquet_of(ctx, zone)))


def the_way(ctx: Context) -> dict[str, int]:
    """The stages without the check, and the bytes that each read."""
    entry = ctx.catalogue.entry(DATASET)
    read: dict[str, int] = {}

    def counted(name: str, stage: Callable[[], Record]) -> Record:
        before = bytes_read()
        record = stage()
        read[name] = bytes_read() - before
        return record

    landed = counted("collect", lambda: collect(ctx, entry, batch_for(ctx, entry, date(2026, 3, 2))))
    assert isinstance(landed, Landed)
    made = counted("standardise", lambda: standardise(ctx, entry, landed))
    assert isinstance(made, Standardised)
    checked = Checked(
        batch=made.batch,
        path=made.path,
        rejects=None,
        verdict="",
        rows_in=made.rows_out,
        rows_out=made.rows_out,
        quarantined=0,
    )
    merged = counted("merge", lambda: merge(ctx, entry, checked))
    assert isinstance(merged, Merged)
    for zone, policy in (("share", "default"), ("open", "open")):
        counted(zone, lambda z=zone, p=policy: publish(ctx, entry, merged, z, p))  # type: ignore[misc]
    return read


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Context, dict[str, int]]:
    """A small way first, in which libraries are loaded; then the one that is counted."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        the_way(context(tmp_path_factory.mktemp("first"), 5_000, monkeypatch))
        ctx = context(tmp_path_factory.mktemp("counted"), ROWS, monkeypatch)
        return ctx, the_way(ctx)


def test_a_zone_is_read_about_once_by_the_stage_after_it(once: tuple[Context, dict[str, int]]) -> None:
    """Collection reads the source once, and what it landed once, to count its rows. A merge digests
    its batch, looks at its keys and reads its rows. The share zone's rows are dealt into
    an order on local disk, where they lie as in memory and are read once; its leak gate reads
    the personal columns again, and its proof what was written. The open
    zone reads the columns that it opens, twice, and once those that must not stand in them."""
    ctx, read = once
    landing, standard, curated, share = (size(ctx, z) for z in ("landing", "standard", "curated", "share"))
    assert landing < read["collect"] < 2.3 * landing
    assert 0.9 * landing < read["standardise"] < 1.3 * landing
    assert standard < read["merge"] < 4.2 * standard
    dealt = sum(pq.read_table(path).nbytes for path in parquet_of(ctx, "share"))
    assert curated < read["share"] - dealt < 1.8 * (curated + share)
    assert read["open"] < 2.2 * curated


def test_a_distinct_text_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("pipelines.masks.redact")
    looked: list[int] = []
    redacted = module._redacted
    monkeypatch.setattr(module, "_redacted", lambda v, k: (looked.append(len(v)), redacted(v, k))[1])
    texts = [f"请致电1541234567{number}联系" for number in range(3)]
    masked = apply(pa.array(texts * 1000), Redact(), text_field("remarks"))
    assert masked.to_pylist() == ["请致电[手机号]联系"] * 3000
    assert sum(looked) == 3


def test_words_that_stand_before_many_numbers_are_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []
    speaks = spans._speaks
    monkeypatch.setattr(spans, "_speaks", lambda before, f: (judged.append(before), speaks(before, f))[1])
    texts = [f"{words}1541234{n:04d}" for words in ("请致电", "订单号") for n in range(200)]
    masked = apply(pa.array(texts), Redact(what=("phone",)), text_field("remarks")).to_pylist()
    assert masked == ["请致电[手机号]"] * 200 + texts[200:]
    assert sorted(judged) == ["订单号", "请致电"]


def test_a_long_number_is_looked_for_only_where_it_has_room() -> None:
    """And that only where it may begin."""
    dark = np.frombuffer(b"13812345678 \x1e2026-03-02\x1e4111 1111 1111 1111", np.uint8)
    cards, phones = (
        spans.Pattern(re.compile(b""), np.isin(np.arange(256), list(first)), least)
        for first, least in ((b"0123456789", 16), (b"1", 10))
    )
    assert spans._places(dark, cards) == [24, 25, 26]
    assert spans._places(dark, phones) == [0, 25, 26, 27, 29, 30, 31, 32]


def test_the_longest_masks_of_a_batch_are_begun_first(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("pipelines.masks")
    begun: list[str] = []
    apply_one = module.apply
    monkeypatch.setattr(module, "apply", lambda v, m, f, t: (begun.append(f.name), apply_one(v, m, f, t))[1])
    fields = {name: text_field(name) for name in ("name", "id_no", "remarks")}
    plan = {"name": Partial(first=1), "id_no": Hmac(), "remarks": Redact()}
    batch = pa.RecordBatch.from_pydict({name: ["请致电15412345670"] for name in fields})
    masked = masked_rows(batch, plan, fields, Tokens(Key("1", bytes(range(32))), "share/default"))
    assert begun == ["remarks", "id_no", "name"]
    assert masked.schema.names == list(plan)
    assert masked.column("remarks").to_pylist() == ["请致电[手机号]"]


def test_only_rows_of_keys_that_come_again_are_ranked() -> None:
    entry = load_catalogue(CATALOGUE).entry(DATASET)
    keys = [f"{number:018d}" for number in range(20_000)] + ["000000000000000007", None, None]
    incoming = pa.table({"_seq": range(len(keys)), "id_no": keys, "updated_at": [0] * len(keys)})
    with duckdb.connect() as db:
        db.register("incoming", incoming)
        ranked = db.execute(f"SELECT _seq FROM {sql.often(entry)} ORDER BY _seq").fetchall()
        going = db.execute(f"{sql.duplicate(entry, sql.often(entry))} ORDER BY _seq").fetchall()
    assert ranked == [(7,), (20_000,), (20_001,), (20_002,)]
    assert going == [(7,), (20_001,)]


def test_while_a_merge_writes_rows_it_holds_its_plan_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = importlib.import_module("pipelines.merging.local")._Local
    rows, held = local.rows, {}

    def watched(self: Any, *told: Any) -> Any:
        tables = "SELECT table_name, estimated_size FROM duckdb_tables()"
        held.update(self._db.execute(tables).fetchall())
        return rows(self, *told)

    monkeypatch.setattr(local, "rows", watched)
    the_way(context(tmp_path, 5_000, monkeypatch))
    assert held.keys() == {"duplicate", "plan"}
    assert held["duplicate"] == 0


def text_field(name: str) -> Field:
    return Field.model_validate(
        {"name": name, "type": "string", "grade": 3, "title": {"zh": "备注", "en": "Remarks"}}
    )
