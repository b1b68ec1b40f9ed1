"""A share table of many rows takes what changed, and nothing else is masked or written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lake import properties, store
from lake.batch import Batch
from lake.deletes import Part
from lake.records import Merged
from lake.verify import Copy, verify
from pipelines.masks import tokens
from pipelines.publishing.origins import Origins
from schemas.errors import LeakFound, Unbalanced
from schemas.load import Catalogue
from schemas.settings import Settings
from tests.pipelines.publishing.making import DAY, ID, KEY, NOW, SECRET, City, Row, people

SHARE = ("share", "health__visit__default")
ROWS = 100


@pytest.fixture
def city(
    settings: Settings, make_catalogue: Callable[[dict[str, str]], Catalogue], monkeypatch: pytest.MonkeyPatch
) -> City:
    """A hundred visits, published; a hundred rows are many here."""
    monkeypatch.setenv(KEY, SECRET)
    monkeypatch.setattr("pipelines.publishing.increments.LEAST_ROWS", 50)
    monkeypatch.setattr("lake.deletes.SMALL_ROWS", 50)
    made = City(settings, make_catalogue)
    merged = made.curate(1, people(ROWS))
    made.publish(merged)
    return made


def change(city: City, day: int, rows: list[Row], *places: int) -> Merged:
    """What a merge leaves: the rows at these places of the first curated file are gone, others have come."""
    tables = city.ctx.tables
    batch = Batch(dataset=ID, start=NOW + (day - 1) * DAY, end=NOW + day * DAY)
    named = properties.named(batch=batch.id)
    new = [{**row, "_batch": batch.id} for row in rows]
    reader = pa.Table.from_pylist(new, schema=tables.schema(city.curated)).to_reader()
    first = max(tables.parts(city.curated), key=lambda part: part.file.record_count)
    deleted = {first.path: np.array(places)} if places else {}
    snapshot = tables.replace(city.curated, reader, (), named, deleted=deleted)
    zeros = dict.fromkeys(("rows_in", "inserted", "updated", "unchanged", "superseded", "deleted"), 0)
    total = tables.row_count(city.curated)
    return Merged(
        batch=batch, table=".".join(city.curated), snapshot=snapshot, total=total, total_before=total, **zeros
    )


def parts(city: City) -> dict[str, Part]:
    return {part.path: part for part in city.ctx.tables.parts(SHARE)}


def content(city: City) -> list[tuple[Any, ...]]:
    return sorted(
        (tuple(row.values()) for row in city.ctx.tables.scan(SHARE).read_all().to_pylist()), key=str
    )


def anew(city: City) -> list[tuple[Any, ...]]:
    """The share table's rows, all published from the beginning."""
    city.ctx.tables.drop(SHARE)
    newest, _ = next(city.ctx.tables.snapshots(city.curated))
    zeros = dict.fromkeys(("rows_in", "inserted", "updated", "unchanged", "superseded", "deleted"), 0)
    batch = Batch(dataset=ID, start=NOW, end=NOW + DAY)
    city.publish(Merged(batch=batch, table="", snapshot=newest, total=0, total_before=0, **zeros))
    return content(city)


def test_only_what_changed_is_masked_and_written(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    [(path, whole)] = parts(city).items()
    hashed: list[int] = []
    real = tokens.hash_values

    def counting(values: pa.Array, *rest: Any, **named: Any) -> pa.Array:
        hashed.append(len(values))
        return real(values, *rest, **named)

    monkeypatch.setattr(tokens, "hash_values", counting)
    published = city.publish(change(city, 2, people(103, day=2)[99:], 7, 99))
    assert (published.rows_in, published.rows_out) == (102, 102)
    after = parts(city)
    old = after.pop(path)
    [new] = after.values()
    assert (whole.rows, old.rows, new.rows) == (100, 98, 4)
    assert sum(hashed) == 4, "each new id is hashed once, and no old one"
    assert content(city) == anew(city)


def test_day_after_day(city: City) -> None:
    for day in range(2, 9):
        city.publish(change(city, day, people(ROWS + 2 * day)[-2:], 3 * day, 3 * day + 1))
    assert len(parts(city)) == 8
    assert sum(len(part.deletes) for part in parts(city).values()) == 1
    assert content(city) == anew(city)


def test_a_file_of_which_a_fifth_is_gone_is_written_anew(city: City) -> None:
    before = set(parts(city))
    city.publish(change(city, 2, [], *range(0, 15)))
    assert set(parts(city)) == before
    city.publish(change(city, 3, people(105)[100:], *range(15, 28)))
    assert not before & set(parts(city))
    [whole] = parts(city).values()
    assert (whole.rows, whole.deletes) == (77, ())
    city.publish(change(city, 4, [], 50))
    assert [len(part.gone) for part in parts(city).values()] == [1], "what was carried over is still known"
    assert content(city) == anew(city)


def test_without_origins_or_with_other_masks_the_whole_is_published(city: City) -> None:
    before = set(parts(city))
    Origins.of(city.settings, ID, SHARE).sweep([])
    city.publish(change(city, 2, people(101)[100:], 5))
    assert not before & set(parts(city))
    again = set(parts(city))
    city.change(share={"type": "unconditional", "policies": {"default": {"drop": ["memo"]}}})
    city.publish(change(city, 3, people(102)[101:], 6))
    assert not again & set(parts(city))
    assert content(city) == anew(city)


def test_origins_lie_beside_the_files_of_the_table_and_no_others(city: City) -> None:
    origins = Origins.of(city.settings, ID, SHARE)
    for day in (2, 3):
        city.publish(change(city, day, people(ROWS + day)[-1:], day))
    assert set(store.list_files(origins.folder)) == {origins.beside(path) for path in parts(city)}


def test_a_leak_in_what_is_new_stops_it(city: City) -> None:
    """The unmasked name of another row, which did not change."""
    [leaking] = people(101)[100:]
    leaking["memo"] = people(3)[2]["name"]
    with pytest.raises(LeakFound, match=r"unmasked values of health\.visit\.name"):
        city.publish(change(city, 2, [leaking]))
    assert len(parts(city)) == 1


def test_a_row_too_many_or_too_few_is_not_published(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    merged = change(city, 2, people(101)[100:], 5)
    monkeypatch.setattr("pipelines.publish.with_origin", lambda *_: iter(()))
    with pytest.raises(Unbalanced):
        city.publish(merged)
    assert len(parts(city)) == 1


def test_what_is_certified_is_what_lies_there(city: City) -> None:
    city.publish(change(city, 2, people(101)[100:], 5, 6))
    findings = [str(finding) for finding in verify(Copy(city.settings.lake_root))]
    assert [each for each in findings if "batch 2026" not in each] == [], (
        "of the batches no ledger was kept here"
    )
    [path] = [Path(path) for part in parts(city).values() for path in part.deleting]
    data = path.read_bytes()
    path.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    assert any(path.name in str(each) for each in verify(Copy(city.settings.lake_root)))
