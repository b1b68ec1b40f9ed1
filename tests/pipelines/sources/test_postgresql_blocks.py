"""A table read by its blocks lands as it is, whatever its values are; what cannot be read so is read by its rows."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Iterable

import pyarrow as pa
import pytest
import sqlalchemy as sa

from pipelines.sources import database_postgresql, postgresql_blocks
from pipelines.sources.database_request import OddDates, Request
from schemas.errors import SourceError
from tests.pipelines.sources.conftest import Department

LEAST = -(2**63)


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries by blocks that are asked."""
    asked: list[str] = []
    real = postgresql_blocks.joining

    def joining(*arguments: object) -> str:
        asked.append(real(*arguments))  # type: ignore[arg-type]
        return asked[-1]

    monkeypatch.setattr(database_postgresql, "joining", joining)
    return asked


@pytest.fixture
def again(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The first blocks of what is read by its rows, after all."""
    asked: list[object] = []

    def within(first: object, blocks: int) -> str:
        asked.append(first)
        return postgresql_blocks.within(first, blocks)

    monkeypatch.setattr(database_postgresql, "within", within)
    return asked


@pytest.fixture(params=[1 << 12, 1 << 16], ids=["alone", "some together"])
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One block at a time, which are a batch each, or some of them."""
    monkeypatch.setattr(postgresql_blocks, "BLOCKS", 1)
    monkeypatch.setattr(database_postgresql, "BATCH_BYTES", request.param)


def read(
    department: Department, table: str, *columns: str, schema: str | None = None
) -> list[tuple[object, ...]]:
    """The rows, in some order."""
    request = Request("police.t", "here", table, schema, columns)
    with database_postgresql.read_postgresql(sa.make_url(department.url), request) as rows:
        found = rows.reader.read_all()
        assert rows.counted() == (found.num_rows, None)
    return ordered(zip(*(column.to_pylist() for column in found.columns), strict=True))


def ordered(rows: Iterable[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return sorted(rows, key=repr)


def fill(department: Department, table: str, rows: list[tuple[object, ...]]) -> None:
    marks = ", ".join(f":v{number}" for number in range(len(rows[0])))
    with department.engine.begin() as connection:
        connection.execute(
            sa.text(f"INSERT INTO {table} VALUES ({marks})"),
            [{f"v{number}": value for number, value in enumerate(row)} for row in rows],
        )


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_values_are(
    postgresql: Department, joined: list[str], again: list[object], seed: int
) -> None:
    """Values that hold what stands between values, or are what stands for none; in some blocks, in all, in none."""
    by_chance = random.Random(seed)
    texts = ["", " ", "王", "b" * 300, None, "\x12\x12", "\x12", "\x11", "\x12\x11", "a\x11"][: 6 + 2 * seed]
    numbers = [0, -1, 2**63 - 1, None, LEAST][: 3 + seed]
    rows = [
        (by_chance.choice(texts), by_chance.choice(texts[:3]), by_chance.choice(numbers), str(n))
        for n in range(2000)
    ]
    postgresql.run('CREATE TABLE t (a text, b char(5), "first" bigint, block text)')
    fill(postgresql, "t", rows)
    assert read(postgresql, "t", "a", "b", "first", "block") == ordered(
        (a, f"{b:5}", first, block) for a, b, first, block in rows
    )
    assert joined and bool(again) == (seed > 0)


@pytest.mark.usefixtures("small_blocks")
def test_only_blocks_that_cannot_be_told_apart_are_read_again(
    postgresql: Department, again: list[object]
) -> None:
    postgresql.run(
        "CREATE TABLE t (n integer, v text)",
        "INSERT INTO t SELECT n, repeat('x', 400) FROM generate_series(1, 2000) n",
        "UPDATE t SET v = chr(17) WHERE n = 1000",
    )
    found = read(postgresql, "t", "n", "v")
    assert [n for n, v in found if v == "\x11"] == [1000]
    assert len(found) == 2000
    assert 1 <= len(again) <= 20


@pytest.mark.parametrize("number", [LEAST, 2**63 - 1])
@pytest.mark.parametrize(("kind", "bits"), [("bigint", 64), ("integer", 32), ("smallint", 16)])
def test_the_number_that_stands_for_null(
    postgresql: Department, again: list[object], kind: str, bits: int, number: int
) -> None:
    number >>= 64 - bits
    postgresql.run(f"CREATE TABLE t (v {kind})")
    fill(postgresql, "t", [(number,), (None,), (7,)])
    assert read(postgresql, "t", "v") == ordered([(number,), (None,), (7,)])
    assert bool(again) == (number < 0)


@pytest.mark.usefixtures("small_blocks")
def test_what_was_deleted_is_nowhere(postgresql: Department) -> None:
    postgresql.run(
        "CREATE TABLE t (n integer, v text)",
        "INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, 5000) n",
        "DELETE FROM t WHERE n BETWEEN 1000 AND 2000 OR n > 4000",
        "CREATE TABLE empty AS SELECT * FROM t WHERE false",
        "CREATE TABLE emptied AS SELECT * FROM t",
        "DELETE FROM emptied",
    )
    assert read(postgresql, "t", "n") == ordered((n,) for n in (*range(1, 1000), *range(2001, 4001)))
    assert read(postgresql, "empty", "n", "v") == read(postgresql, "emptied", "n", "v") == []


def test_rows_behind_what_was_joined_are_counted(
    postgresql: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Had the server told of fewer blocks than there are, it would not add up (law 2)."""
    postgresql.run("CREATE TABLE t AS SELECT n, repeat('x', 1000) AS v FROM generate_series(1, 5000) n")
    half = postgresql_blocks.joining
    monkeypatch.setattr(
        database_postgresql, "joining", lambda *a: half(*a).replace("_series(0, ", "_series(0, -300 + ")
    )
    request = Request("police.t", "here", "t", None, ("n",))
    with database_postgresql.read_postgresql(sa.make_url(postgresql.url), request) as rows:
        assert rows.reader.read_all().num_rows < 5000 == rows.counted().rows


def test_blocks_that_do_not_come_are_missed(postgresql: Department, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever counts by what came has to see that all came (law 2)."""
    postgresql.run("CREATE TABLE t AS SELECT n, repeat('x', 1000) AS v FROM generate_series(1, 20000) n")
    real = database_postgresql.ahead
    monkeypatch.setattr(
        database_postgresql, "ahead", lambda parts: (b for n, b in enumerate(real(parts)) if n != 1)
    )
    request = Request("police.t", "here", "t", None, ("n", "v"))
    with (
        database_postgresql.read_postgresql(sa.make_url(postgresql.url), request) as rows,
        pytest.raises(SourceError, match="lost; nothing was landed"),
    ):
        rows.reader.read_all()


def test_each_block_is_read_once(postgresql: Department, joined: list[str]) -> None:
    """Without statistics, too, and where the server holds finding a place for dear; the cursor's highest value is the
    index's."""
    name = sa.make_url(postgresql.url).database
    postgresql.run(
        f"ALTER DATABASE {name} SET random_page_cost = 100000",
        "CREATE TABLE t (n integer PRIMARY KEY, v text, at timestamp)",
        "ALTER TABLE t SET (autovacuum_enabled = off)",
        "INSERT INTO t SELECT n, repeat('x', 200), now() FROM generate_series(1, 50000) n",
    )
    read_before = blocks_read(postgresql)
    request = Request("police.t", "here", "t", None, ("n", "v", "at"), cursor="n")
    with database_postgresql.read_postgresql(sa.make_url(postgresql.url), request) as rows:
        assert rows.reader.read_all().num_rows == 50_000
        assert rows.counted() == (50_000, "50000")
    size = postgresql.value("SELECT pg_relation_size('t') / 8192")
    assert isinstance(size, int)
    assert joined
    assert size <= blocks_read(postgresql) - read_before <= 1.05 * size


def blocks_read(department: Department, tables: str = "t") -> int:
    """Once whoever read has gone, whose counts come then."""
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    while department.value(others):
        time.sleep(0.02)
    found = department.value(
        "SELECT sum(heap_blks_read + heap_blks_hit)::bigint FROM pg_statio_user_tables"
        f" WHERE relname LIKE '{tables}'"
    )
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize(
    "made",
    [
        pytest.param("CREATE VIEW t AS SELECT * FROM data", id="a view"),
        pytest.param(
            "CREATE EXTENSION postgres_fdw; CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname '{name}');"
            "CREATE USER MAPPING FOR CURRENT_USER SERVER here;"
            "CREATE TABLE t (n integer, v text) PARTITION BY RANGE (n);"
            "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (1) TO (50); CREATE TABLE there (n integer, v text);"
            "CREATE FOREIGN TABLE t2 PARTITION OF t FOR VALUES FROM (50) TO (1000)"
            " SERVER here OPTIONS (table_name 'there');"
            "INSERT INTO t1 SELECT * FROM data WHERE n < 50; INSERT INTO there SELECT * FROM data WHERE n >= 50",
            id="a part elsewhere",
        ),
        pytest.param(
            "CREATE TABLE t (n integer, v text); CREATE TABLE child () INHERITS (t);"
            "ALTER TABLE child ALTER v SET STORAGE EXTERNAL; INSERT INTO child SELECT n, v FROM data;"
            "UPDATE child SET v = repeat('x', 5000) WHERE n = 7; UPDATE child SET v = 'v' WHERE n = 7",
            id="long values of a part",
        ),
        pytest.param(
            "CREATE TABLE t AS SELECT * FROM data; ALTER TABLE t ALTER v SET STORAGE EXTERNAL;"
            "UPDATE t SET v = repeat('x', 5000) WHERE n = 7; UPDATE t SET v = 'v' WHERE n = 7",
            id="long values",
        ),
    ],
)
def test_what_has_no_blocks_of_its_own_is_read_by_rows(
    postgresql: Department, joined: list[str], made: str
) -> None:
    name = sa.make_url(postgresql.url).database
    statements = made.format(name=name).split(";")
    postgresql.run("CREATE TABLE data AS SELECT n, 'v' AS v FROM generate_series(1, 100) n", *statements)
    assert read(postgresql, "t", "n", "v") == ordered((n, "v") for n in range(1, 101))
    assert not joined
    assert read(postgresql, "data", "n", "v") and joined


PARTITIONS = (
    "CREATE TABLE t (n integer, v text) PARTITION BY RANGE (n)",
    "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (1) TO (1000)",
    "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (1000) TO (90000) PARTITION BY HASH (n)",
    "CREATE TABLE t2a PARTITION OF t2 FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
    "CREATE TABLE t2b (gone date, v text, n integer)",  # another order of columns, and one less
    "ALTER TABLE t2b DROP gone",
    "ALTER TABLE t2 ATTACH PARTITION t2b FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    "CREATE TABLE empty PARTITION OF t FOR VALUES FROM (90000) TO (100000)",
    "INSERT INTO t SELECT n, CASE WHEN mod(n, 7) > 0 THEN repeat('x', mod(n, 300)) END FROM generate_series(1, 20000) n",
)
HEIRS = (
    "CREATE TABLE t AS SELECT n, repeat('y', 200) AS v FROM generate_series(1, 5000) n",
    "CREATE TABLE child () INHERITS (t)",
    "CREATE TABLE grandchild (more integer) INHERITS (child)",
    "INSERT INTO child SELECT n, 'v' FROM generate_series(5001, 9000) n",
    "INSERT INTO grandchild SELECT n, NULL, 1 FROM generate_series(9001, 20000) n",
)


@pytest.mark.parametrize("blocks", [1, 4, 128])
@pytest.mark.parametrize("made", [PARTITIONS, HEIRS], ids=["partitions", "heirs"])
def test_a_table_of_several_parts_is_read_by_the_blocks_of_all(
    postgresql: Department,
    joined: list[str],
    monkeypatch: pytest.MonkeyPatch,
    made: tuple[str, ...],
    blocks: int,
) -> None:
    """Each block of each part once."""
    monkeypatch.setattr(postgresql_blocks, "BLOCKS", blocks)
    postgresql.run(*made)
    with postgresql.engine.connect() as connection:
        rows = ordered(map(tuple, connection.execute(sa.text("SELECT n, v FROM t"))))
    read_before = blocks_read(postgresql, "%%")
    assert read(postgresql, "t", "n", "v") == rows and len(rows) == 20_000
    assert joined
    size = postgresql.value("SELECT sum(pg_relation_size(relid) / 8192)::bigint FROM pg_statio_user_tables")
    assert isinstance(size, int)
    assert size <= blocks_read(postgresql, "%%") - read_before <= 1.05 * size


def test_who_may_read_a_table_reads_its_parts_as_far_as_its_policy_goes(
    postgresql: Department, joined: list[str]
) -> None:
    role = f"reader_{uuid.uuid4().hex[:12]}"
    policy = ("ALTER TABLE t ENABLE ROW LEVEL SECURITY", "CREATE POLICY even ON t USING (mod(n, 2) = 0)")
    postgresql.run(*PARTITIONS, *policy, f"CREATE ROLE {role} LOGIN", f"GRANT SELECT ON t TO {role}")
    reader = Department(
        str(sa.make_url(postgresql.url).set(username=role)), str(postgresql.engine.url.set(username=role))
    )
    try:
        assert [n for (n,) in read(reader, "t", "n")] == sorted(range(2, 20_001, 2), key=lambda n: repr((n,)))
        assert joined
    finally:
        postgresql.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_the_highest_position_of_several_parts_is_of_rows_that_were_read(
    postgresql: Department, joined: list[str]
) -> None:
    """A part that is attached while the others are read ends it, where a position would pass its rows by."""
    postgresql.run(*PARTITIONS, "CREATE TABLE late AS SELECT 100001 AS n, 'late' AS v")
    request = Request("police.t", "here", "t", None, ("n", "v"), cursor="n")
    with database_postgresql.read_postgresql(sa.make_url(postgresql.url), request) as rows:
        postgresql.run("ALTER TABLE t ATTACH PARTITION late FOR VALUES FROM (100000) TO (200000)")
        assert rows.reader.read_all().num_rows == 20_000
        assert rows.counted() == (20_001, "100001")  # which whoever lands them compares with what came
    assert not joined


def test_a_table_of_too_many_parts_is_read_by_rows(
    postgresql: Department, joined: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    postgresql.run(*PARTITIONS)  # of six
    monkeypatch.setattr(postgresql_blocks, "PARTS", 5)
    assert len(read(postgresql, "t", "n")) == 20_000
    assert not joined
    monkeypatch.setattr(postgresql_blocks, "PARTS", 6)
    assert len(read(postgresql, "t", "n")) == 20_000
    assert joined


@pytest.mark.parametrize(
    ("sizes", "blocks"),
    [
        ((1, 10_000, 10_000), 128),
        ((1, 0, 0), 128),
        ((13, 10_000, 120_000), 11),
        ((256, 10, 2560), 1),
        ((100, 50_000, 50_099), 40),
        ((257, 10, 10), 0),
    ],
)
def test_about_as_many_blocks_come_together_whatever_the_parts_are(
    sizes: tuple[int, int, int], blocks: int
) -> None:
    assert postgresql_blocks.together(*sizes) == blocks


def test_who_may_read_some_columns_reads_rows(postgresql: Department, joined: list[str]) -> None:
    role = f"reader_{uuid.uuid4().hex[:12]}"
    postgresql.run(
        "CREATE TABLE t AS SELECT n, 'v' AS v FROM generate_series(1, 100) n",
        f"CREATE ROLE {role} LOGIN",
        f"GRANT SELECT (n) ON t TO {role}",
    )
    reader = Department(
        str(sa.make_url(postgresql.url).set(username=role)), str(postgresql.engine.url.set(username=role))
    )
    try:
        assert read(reader, "t", "n") == ordered((n,) for n in range(1, 101))
        assert not joined
        postgresql.run(f"GRANT SELECT ON t TO {role}")
        assert read(reader, "t", "n") == ordered((n,) for n in range(1, 101))
        assert joined
    finally:
        postgresql.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_more_columns_than_a_function_takes(
    postgresql: Department, joined: list[str], again: list[object]
) -> None:
    names = [f"c{number}" for number in range(250)]
    postgresql.run(f"CREATE TABLE t ({', '.join(f'{name} integer' for name in names)})")
    postgresql.run("INSERT INTO t (c0, c249) VALUES (1, 2), (NULL, 3)")
    nothing = (None,) * 248
    assert read(postgresql, "t", *names) == ordered([(1, *nothing, 2), (None, *nothing, 3)])
    assert joined
    assert not again


def test_whoever_stops_early_leaves_nothing_behind(postgresql: Department) -> None:
    """Rows that are on their way are no longer read when the connection is closed."""
    postgresql.run("CREATE TABLE t AS SELECT n, repeat('x', 1000) AS v FROM generate_series(1, 50000) n")
    request = Request("police.t", "here", "t", None, ("n", "v"))
    for _ in range(5):
        with database_postgresql.read_postgresql(sa.make_url(postgresql.url), request) as rows:
            assert rows.reader.read_next_batch().num_rows
        assert "ahead" not in {thread.name for thread in threading.enumerate()}
    blocks_read(postgresql)


def test_a_part_of_a_batch_comes_apart_as_well() -> None:
    """Arrow's arrays may begin anywhere in their memory."""
    number = postgresql_blocks.FIXED["int2"]
    columns = [
        postgresql_blocks.Column("a", "", pa.string(), None),
        postgresql_blocks.Column("b", "", pa.int16(), number),
    ]
    batch = pa.record_batch(
        [
            pa.array([1, 3, 1]),
            pa.array([0, 2, 0]),
            pa.array(["\x11x", "\x11y\x11\x12\x11z", "\x11w"]),
            pa.array([b"\0\1", b"\0\2\x80\0\0\3", b"\0\4"]),
            pa.array([0, 64, 128]),
        ],
        list("nmabf"),
    )
    for part, a, b in (
        (batch.slice(1), ["y", None, "z", "w"], [2, None, 3, 4]),
        (batch.slice(0, 2), ["x", "y", None, "z"], [1, 2, None, 3]),
    ):
        found = postgresql_blocks.apart(part, columns)
        assert found is not None
        assert [array.to_pylist() for array in found] == [a, b]


@pytest.mark.parametrize("table", ["t", "w"], ids=["by blocks", "by rows"])
@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
@pytest.mark.parametrize("value", ["infinity", "-infinity", "0001-12-31 BC", "10000-01-01"])
def test_a_date_that_no_library_holds_is_told(
    postgresql: Department, kind: str, value: str, table: str
) -> None:
    """Also where nulls are, for which one of them stands."""
    postgresql.run(
        f"CREATE TABLE t (v {kind})",
        f"INSERT INTO t VALUES ('2026-01-01'), ('{value}'), (NULL)",
        "CREATE VIEW w AS SELECT * FROM t",
    )
    with pytest.raises(OddDates):
        read(postgresql, table, "v")
