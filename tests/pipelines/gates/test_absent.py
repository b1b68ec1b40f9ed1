"""What was looked for before is not looked for again where nothing has changed, and nothing is missed for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from lake.tables import Tables
from lake.zones import identifier
from pipelines.gates import absent
from pipelines.gates.values import COMMON, SAMPLE, Personal, compared, seen
from schemas.settings import Settings

TABLE = identifier("curated", "police.person")
SCHEMA = pa.schema([("id_no", pa.string()), ("remark", pa.string())])
Texts = Mapping[str, Sequence[str]]
Found = set[tuple[str, str, str, int]]


@pytest.fixture
def tables(settings: Settings) -> Tables:
    made = Tables(settings)
    made.ensure(TABLE, SCHEMA)
    return made


def add(tables: Tables, *ids: str, remark: str = "") -> int:
    """A data file of these persons."""
    rows = pa.table({"id_no": ids, "remark": [remark] * len(ids)}, schema=SCHEMA)
    return tables.replace(TABLE, rows.to_reader(), (), {})


def mark(tables: Tables, path: str, places: Sequence[int]) -> int:
    return tables.replace(TABLE, None, (), {}, deleted={path: np.array(places)})


def people(first: int, count: int) -> list[str]:
    return [f"ID-{number:06}" for number in range(first, first + count)]


def look(
    tables: Tables,
    settings: Settings,
    kept: Path,
    texts: Texts,
    fields: Sequence[str] = SCHEMA.names,
    snapshot: int | None = None,
) -> Found:
    """What the gate says of columns that hold these texts."""
    personal = [Personal("police.person", name, TABLE, snapshot) for name in fields]
    with seen(settings) as store:
        for name, several in texts.items():
            store.add(name, pa.array(several, pa.string()))
        found = compared(store, dict.fromkeys(texts, personal), tables, kept)
        return {(name, field.name, how, count) for name, field, how, count in found}


SAME = ("label", "police.person.id_no", "same", 1)


def test_files_that_were_looked_through_are_not_read_for_the_same_again(
    tables: Tables, settings: Settings, tmp_path: Path
) -> None:
    """They are not even there any more; a new file is looked through, for what was looked for earlier too."""
    kept = tmp_path / "kept.parquet"
    add(tables, *people(0, 50))
    [old] = tables.data_files(TABLE)
    assert look(tables, settings, kept, {"label": ["ID-000777", "公园北门"]}) == set()
    add(tables, *people(100, 50))
    Path(old).unlink()
    assert look(tables, settings, kept, {"label": ["公园北门"]}) == set()
    add(tables, "ID-000777")
    assert look(tables, settings, kept, {"label": ["ID-000777", "公园北门"]}) == {SAME}
    with pytest.raises(duckdb.IOException):
        look(tables, settings, kept, {"label": ["公园南门"]})


def test_what_is_new_is_looked_for_in_old_files(tables: Tables, settings: Settings, tmp_path: Path) -> None:
    kept = tmp_path / "kept.parquet"
    add(tables, *people(0, 50))
    assert look(tables, settings, kept, {"label": ["公园北门"]}) == set()
    for _ in range(2):  # what was found is found again
        assert look(tables, settings, kept, {"label": ["公园北门", "ID-000007"]}) == {SAME}


def test_what_was_common_may_have_become_rare(tables: Tables, settings: Settings, tmp_path: Path) -> None:
    """Also after a publication that did not hold it."""
    kept = tmp_path / "kept.parquet"
    add(tables, *people(0, COMMON + 20), remark="暂无备注")
    [path] = tables.data_files(TABLE)
    assert look(tables, settings, kept, {"label": ["暂无备注"]}) == set()
    assert look(tables, settings, kept, {"label": ["公园北门"]}) == set()
    mark(tables, path, range(25))
    assert look(tables, settings, kept, {"label": ["暂无备注"]}) == {
        ("label", "police.person.remark", "same", 1)
    }


def test_what_is_common_still_whatever_has_gone_is_not_looked_for_again(
    tables: Tables, settings: Settings, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.parquet"
    add(tables, *people(0, COMMON + 5), remark="暂无备注")
    [path] = tables.data_files(TABLE)
    texts = {"label": ["暂无备注"]}
    assert look(tables, settings, kept, texts) == set()
    mark(tables, path, range(3))
    Path(path).unlink()
    add(tables, *people(100, 5), remark="暂无备注")
    assert look(tables, settings, kept, texts) == set()
    mark(tables, path, range(6))
    assert look(tables, settings, kept, texts) == set(), "five more have come meanwhile"
    mark(tables, path, range(12))
    with pytest.raises(duckdb.IOException):
        look(tables, settings, kept, texts)


def test_of_what_a_day_brings_the_same_is_drawn_again(
    tables: Tables, settings: Settings, tmp_path: Path
) -> None:
    """Of three thousand texts a third was drawn: of some of them no other is looked for."""
    kept = tmp_path / "kept.parquet"
    add(tables, *people(0, 50))
    [path] = tables.data_files(TABLE)
    texts = [f"公园路{number}号" for number in range(3 * SAMPLE)]
    assert look(tables, settings, kept, {"label": texts}) == set()
    Path(path).unlink()
    add(tables, *people(100, 50))
    assert look(tables, settings, kept, {"label": texts[:900]}) == set()
    with pytest.raises(duckdb.IOException):
        look(tables, settings, kept, {"label": texts[:30]})


def test_what_is_woven_into_what_a_day_brings_is_found(
    tables: Tables, settings: Settings, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.parquet"
    add(tables, *people(0, 5000))
    harmless = [f"公园路{number}号" for number in range(3 * SAMPLE)]
    assert look(tables, settings, kept, {"label": harmless}) == set()
    for count in (40, 400, 4000):
        woven = [f"致{person}：请于公园路领取" for person in people(0, count)]
        [(name, field, how, _)] = look(tables, settings, kept, {"label": woven})
        assert (name, field, how) == ("label", "police.person.id_no", "woven")


def test_rows_that_come_back_and_fields_that_are_new_are_looked_at(
    tables: Tables, settings: Settings, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.parquet"
    whole = add(tables, *people(0, 50))
    [path] = tables.data_files(TABLE)
    marked = mark(tables, path, [7])
    texts = {"label": ["ID-000007"]}
    assert look(tables, settings, kept, texts, ["remark"], marked) == set()
    assert look(tables, settings, kept, texts, snapshot=marked) == set()
    assert look(tables, settings, kept, texts, snapshot=whole) == {SAME}
    kept.unlink()
    add(tables, *people(0, 5))
    assert look(tables, settings, kept, texts, ["remark"]) == set()
    assert look(tables, settings, kept, {"label": ["ID-000003"]}) == {SAME}
    assert look(tables, settings, kept, {"label": ["ID-000003"]}, ["remark"]) == set()


def test_what_cannot_be_used_says_nothing(
    tables: Tables, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept.parquet"
    add(tables, *people(0, 5))
    look(tables, settings, kept, {"label": ["公园北门"]})
    assert absent.load(kept) is not None
    with monkeypatch.context() as other:
        other.setattr(absent, "_BY", [absent.RULES, "another DuckDB"])
        assert absent.load(kept) is None
    kept.write_bytes(kept.read_bytes()[:100])
    assert absent.load(kept) is None
    assert look(tables, settings, kept, {"label": ["ID-000002"]}) == {SAME}
    monkeypatch.setattr(absent, "MOST", 3)
    look(tables, settings, tmp_path / "much.parquet", {"label": ["公园北门"]})
    assert not (tmp_path / "much.parquet").exists()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_it_finds_what_it_would_have_found(
    tables: Tables, settings: Settings, tmp_path: Path, seed: int
) -> None:
    """Days on which persons come and go, and texts that are theirs or nobody's."""
    random, kept = np.random.default_rng(seed), tmp_path / "kept.parquet"
    for day in range(6):
        add(
            tables, *people(int(random.integers(60)), 30), remark=str(random.choice(["暂无备注", "公园北门"]))
        )
        if day % 2:
            part = random.choice(np.array(tables.parts(TABLE), object))
            mark(tables, part.path, sorted(set(range(30)) - set(part.gone))[: int(random.integers(1, 12))])
        texts = [*people(int(random.integers(100)), 1), "暂无备注", "公园北门", "望江路", f"第{day}号"]
        given = {"label": list(random.choice(texts, 3, replace=False))}
        fresh = look(tables, settings, tmp_path / f"{day}.parquet", given)
        assert look(tables, settings, kept, given) == fresh
