"""What holds for every database: columns, counts, positions, drift and failures. The types of each have files of their
own."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lake import landing
from lake.records import Landed
from pipelines.collect import collect
from pipelines.drift.told import told
from pipelines.sources import database, database_mysql, database_postgresql
from pipelines.sources.database_request import Counted
from schemas.errors import SettingsError, SourceError
from schemas.model import Entry
from schemas.settings import Settings
from tests.pipelines.building import batch_of, context_of, entry_of
from tests.pipelines.sources.collecting import collect_table
from tests.pipelines.sources.conftest import Department

PEOPLE = (
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR(40), secret VARCHAR(40), updated_at TIMESTAMP NULL)",
    "INSERT INTO people VALUES (1, '甲', 'x', '2026-03-01 08:00:00'), (2, '乙𠮷', 'x', '2026-03-01 09:00:00'),"
    " (3, NULL, 'x', NULL)",
)


def people(**source: object) -> Entry:
    return entry_of(
        "police.people",
        {"kind": "database", "connection": "police", "table": "people"} | source,
        {"id": "integer", "full_name": {"type": "string", "source": "name"}, "updated_at": "timestamp"},
    )


def run(settings: Settings, department: Department, entry: Entry, day: int = 1) -> Landed:
    return collect(context_of(settings, [entry], {"police": department.url}), entry, batch_of(entry.id, day))


def rows(landed: Landed) -> list[dict[str, object]]:
    return pq.read_table(landed.files[0].path).to_pylist()


def ids(landed: Landed) -> list[int]:
    return sorted(int(row["id"]) for row in rows(landed))  # type: ignore[call-overload]


def test_lands_only_the_entrys_columns_and_counts_them(settings: Settings, department: Department) -> None:
    department.run(*PEOPLE)
    landed = run(settings, department, people())
    assert (landed.rows, landed.counted, landed.files[0].rows) == (3, 3, 3)
    assert set(rows(landed)[0]) == {"id", "name", "updated_at"}
    assert [row["name"] for row in sorted(rows(landed), key=lambda row: str(row["id"]))] == [
        "甲",
        "乙𠮷",
        None,
    ]
    assert landed.notes == ("not in the entry, so not collected: `secret`",)
    assert landed.position is None


def test_a_landed_batch_is_not_collected_again(settings: Settings, department: Department) -> None:
    department.run(*PEOPLE)
    first = run(settings, department, people())
    department.run("DELETE FROM people")
    assert run(settings, department, people()) == first


def test_an_empty_table_lands_no_rows_but_its_columns(settings: Settings, department: Department) -> None:
    department.run(PEOPLE[0])
    landed = run(settings, department, people())
    assert landed.rows == landed.counted == 0
    assert pq.read_schema(landed.files[0].path).names == ["id", "name", "updated_at"]


def test_incremental_reads_equal_late_and_null_cursors(settings: Settings, department: Department) -> None:
    department.run(*PEOPLE)
    entry = people(cursor="updated_at", overlap="1h")
    assert ids(run(settings, department, entry)) == [1, 2, 3]
    department.run(
        "INSERT INTO people VALUES (4, '丙', 'x', '2026-03-01 09:00:00'), (5, '丁', 'x', '2026-03-02 00:00:00')",
        "INSERT INTO people VALUES (6, '戊', 'x', '2026-03-01 08:00:00'), (7, '己', 'x', NULL)",
        "INSERT INTO people VALUES (8, '庚', 'x', '2026-03-01 07:59:59')",
    )
    second = run(settings, department, entry, day=2)
    assert ids(second) == [1, 2, 3, 4, 5, 6, 7], (
        "late by the overlap, equal to the position, and without a cursor"
    )
    assert second.counted == 7
    assert second.position is not None
    assert second.position.startswith("2026-03-02 00:00:00")
    assert ids(run(settings, department, people(cursor="updated_at"), day=3)) == [3, 5, 7]


@pytest.mark.parametrize(
    ("kind", "values", "later"),
    [
        ("BIGINT", ["9007199254740993", "9007199254740992"], "9007199254740994"),
        ("VARCHAR(20)", ["'b''\\'", "'a'"], "'c'"),
        ("DATE", ["'2026-03-02'", "'2026-03-01'"], "'2026-03-03'"),
        ("DECIMAL(30,10)", ["10000000000000000000.0000000002", "9"], "10000000000000000000.0000000003"),
    ],
)
def test_cursors_of_every_type_begin_exactly_at_the_position(
    settings: Settings, department: Department, kind: str, values: list[str], later: str
) -> None:
    if kind.startswith("DECIMAL") and "sqlite" in department.url:
        pytest.skip("SQLite has no decimals")
    entry = entry_of(
        "police.cases",
        {"kind": "database", "connection": "police", "table": "cases", "cursor": "grows"},
        {"id": "integer", "grows": "string"},
    )
    escaped = [v.replace("\\", "\\\\") if "mysql" in department.url else v for v in values]
    department.run(
        f"CREATE TABLE cases (id INTEGER, grows {kind})",
        *(f"INSERT INTO cases VALUES ({i}, {value})" for i, value in enumerate(escaped)),
    )
    first = run(settings, department, entry)
    assert ids(first) == [0, 1]
    department.run(f"INSERT INTO cases VALUES (2, {later})")
    assert ids(run(settings, department, entry, day=2)) == [0, 2]
    assert ids(run(settings, department, entry, day=3)) == [2]


def test_a_batch_without_news_keeps_the_position(settings: Settings, department: Department) -> None:
    department.run(*PEOPLE)
    entry = people(cursor="updated_at")
    first = run(settings, department, entry)
    department.run("DELETE FROM people")
    second = run(settings, department, entry, day=2)
    assert (second.rows, second.position) == (0, first.position)


def test_a_rerun_of_an_earlier_interval_begins_where_its_predecessor_ended(
    settings: Settings, department: Department
) -> None:
    department.run(*PEOPLE)
    entry = people(cursor="updated_at")
    run(settings, department, entry, day=3)
    assert ids(run(settings, department, entry, day=2)) == [1, 2, 3]


def test_another_cursor_begins_anew(settings: Settings, department: Department) -> None:
    department.run(*PEOPLE)
    run(settings, department, people(cursor="id"))
    assert ids(run(settings, department, people(cursor="updated_at"), day=2)) == [1, 2, 3]


def test_a_row_with_a_time_to_come_does_not_end_the_reading(
    settings: Settings, department: Department
) -> None:
    """A year mistyped: whatever changes today lies before it."""
    department.run(*PEOPLE)
    entry = people(cursor="updated_at")
    run(settings, department, entry)
    department.run("UPDATE people SET updated_at = '2037-03-02 00:00:00' WHERE id = 1")
    second = run(settings, department, entry, day=2)
    assert str(second.position).startswith("2037-03-02 00:00:00")
    department.run("UPDATE people SET updated_at = '2026-03-05 11:00:00' WHERE id = 2")
    assert ids(run(settings, department, entry, day=3)) == [1, 2, 3]
    assert ids(run(settings, department, people(cursor="updated_at", overlap="1h"), day=4)) == [1, 2, 3]
    found = told(context_of(settings, [entry]), entry)
    assert found is not None
    assert [each for each in found.sentences if "later than its collection" in each]


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz", "date"])
@pytest.mark.parametrize("beyond", ["infinity", "10000-01-01", "12026-03-01"])
@pytest.mark.parametrize("overlap", [None, "1d"])
def test_a_time_beyond_the_calendar_does_not_end_the_reading(
    settings: Settings, postgresql: Department, kind: str, beyond: str, overlap: str | None
) -> None:
    """PostgreSQL has such values. Their rows are landed as text, and standardise sets them aside."""
    postgresql.run(f"CREATE TABLE cases (id INTEGER, at {kind})")
    field = "date" if kind == "date" else "timestamp"
    source = {"kind": "database", "connection": "police", "table": "cases", "cursor": "at"}
    entry = entry_of(
        "police.cases", source | ({"overlap": overlap} if overlap else {}), {"id": "integer", "at": field}
    )
    postgresql.run(f"INSERT INTO cases VALUES (1, '2026-03-01'), (2, '{beyond}'), (3, '-infinity')")
    first = run(settings, postgresql, entry)
    assert ids(first) == [1, 2, 3] and str(first.position).startswith(beyond)
    postgresql.run("INSERT INTO cases VALUES (4, '2026-03-05'), (5, '2026-03-01')")
    assert ids(run(settings, postgresql, entry, day=2)) == [2, 4]
    postgresql.run("DELETE FROM cases WHERE id = 2", "INSERT INTO cases VALUES (6, '2026-03-06')")
    third = run(settings, postgresql, entry, day=3)
    assert ids(third) == [4, 6] and str(third.position).startswith("2026-03-06"), "it was corrected"
    postgresql.run(f"UPDATE cases SET at = '{beyond}' WHERE id = 6")
    run(settings, postgresql, entry, day=4)
    found = told(context_of(settings, [entry]), entry)
    assert found and [each for each in found.sentences if f"reaches {beyond}" in each]


@pytest.mark.parametrize("kind", ["timestamp", "date"])
@pytest.mark.parametrize("cursor", ["at", None])
def test_a_time_that_a_driver_cannot_hold_is_one_clear_error(
    settings: Settings, postgresql: Department, kind: str, cursor: str | None
) -> None:
    postgresql.run(f"CREATE TABLE cases (id INTEGER, at {kind})", "INSERT INTO cases VALUES (1, 'infinity')")
    postgresql.url = postgresql.url.replace("postgresql:", "postgresql+psycopg:")
    source = {"kind": "database", "connection": "police", "table": "cases", "cursor": cursor}
    entry = entry_of("police.cases", source, {"id": "integer", "at": kind})
    with pytest.raises(SourceError, match=r"beyond the years 1 to 9999; nothing was landed.*postgresql://"):
        run(settings, postgresql, entry)


def test_a_time_before_all_others_is_a_position(settings: Settings, postgresql: Department) -> None:
    """Whatever is changed lies after it."""
    postgresql.run(
        "CREATE TABLE cases (id INTEGER, at timestamp)", "INSERT INTO cases VALUES (1, '-infinity')"
    )
    source = {"kind": "database", "connection": "police", "table": "cases", "cursor": "at"}
    entry = entry_of("police.cases", source, {"id": "integer", "at": "timestamp"})
    for day, at in enumerate(("-infinity", "4713-01-01 00:00:00 BC", "0044-03-15 00:00:00 BC"), 1):
        postgresql.run(f"UPDATE cases SET at = '{at}'")
        found = run(settings, postgresql, entry, day=day)
        assert (ids(found), found.position) == ([1], at)


@pytest.mark.parametrize("at", ["20981231080000", "infinity"])
def test_a_time_to_come_in_the_form_of_its_field(settings: Settings, sqlite: Department, at: str) -> None:
    sqlite.run("CREATE TABLE cases (id INTEGER, at TEXT)")
    entry = entry_of(
        "police.cases",
        {"kind": "database", "connection": "police", "table": "cases", "cursor": "at"},
        {"id": "integer", "at": {"type": "timestamp", "formats": ("%Y%m%d%H%M%S",)}},
    )
    sqlite.run(f"INSERT INTO cases VALUES (1, '{at}'), (2, '20260301080000')")
    run(settings, sqlite, entry)
    sqlite.run("INSERT INTO cases VALUES (3, '20260304120000'), (4, '20260304115959')")
    assert ids(run(settings, sqlite, entry, day=2)) == [1, 3]


def test_a_cursor_that_went_back_is_told(settings: Settings, department: Department) -> None:
    """A source put back from a backup gives its numbers again: nothing is read below the position."""
    department.run(*PEOPLE)
    entry = people(cursor="id")
    ctx = context_of(settings, [entry])
    run(settings, department, entry)
    assert told(ctx, entry) is None
    run(settings, department, entry, day=2)
    assert told(ctx, entry) is None, "the row at the position came again"
    department.run("DELETE FROM people WHERE id > 1")
    assert run(settings, department, entry, day=3).rows == 0
    found = told(ctx, entry)
    assert found is not None
    (sentence,) = found.sentences
    assert sentence.startswith("no row is at cursor `id`'s last position, 3, or after it")


def test_of_a_table_that_was_always_empty_nothing_is_told(settings: Settings, department: Department) -> None:
    department.run(PEOPLE[0])
    entry = people(cursor="id")
    for day in (1, 2):
        assert run(settings, department, entry, day=day).rows == 0
    assert told(context_of(settings, [entry]), entry) is None


def test_after_a_batch_without_a_cursor_reading_begins_anew(
    settings: Settings, department: Department
) -> None:
    """So that whoever takes the cursor out for one batch, after it went back, has it begin at the source's present."""
    department.run(*PEOPLE)
    run(settings, department, people(cursor="id"))
    department.run("DELETE FROM people WHERE id > 1")
    assert ids(run(settings, department, people(), day=2)) == [1]
    third = run(settings, department, people(cursor="id"), day=3)
    assert (ids(third), third.position) == ([1], "1")


def test_an_overlap_needs_dates(settings: Settings, department: Department) -> None:
    department.run(*PEOPLE)
    entry = people(cursor="id", overlap="1d")
    run(settings, department, entry)
    with pytest.raises(SourceError, match="`overlap` needs a cursor of dates"):
        run(settings, department, entry, day=2)


def test_a_missing_column_is_named_with_its_near_misses(settings: Settings, department: Department) -> None:
    department.run("CREATE TABLE people (id INTEGER, full_nam VARCHAR(9), updated TIMESTAMP)")
    entry = entry_of(
        "police.people",
        {"kind": "database", "connection": "police", "table": "people"},
        {"id": "integer", "full_name": "string", "updated_at": "timestamp"},
    )
    with pytest.raises(SourceError) as error:
        run(settings, department, entry)
    text = str(error.value)
    assert "no column `full_name`; did you mean `full_nam`?" in text
    assert "no column `updated_at`; did you mean `updated`?" in text
    assert "columns found: `id`, `full_nam`, `updated`" in text
    assert landing.landed(settings, batch_of(entry.id)) is None


def test_a_missing_table_is_named_with_its_near_misses(settings: Settings, department: Department) -> None:
    department.run("CREATE TABLE persons (id INTEGER)", "CREATE TABLE peoples (id INTEGER)")
    with pytest.raises(SourceError, match=r"no such table or view; did you mean `peoples`"):
        run(settings, department, people())


@pytest.mark.parametrize("name", ['a"b', "a`b", "a'b", "select", "a b; DROP TABLE people", "表%s :x"])
def test_hostile_names_are_only_names(settings: Settings, department: Department, name: str) -> None:
    preparer = department.engine.dialect.identifier_preparer
    quoted = preparer.quote_identifier(name)
    raw = quoted.replace("%%", "%")
    column = raw if "mysql" in department.url or "psycopg" in str(department.engine.url) else quoted
    department.run(*PEOPLE)
    escaped = quoted if department.engine.dialect.paramstyle in ("format", "pyformat") else column
    department.run(
        f"CREATE TABLE {escaped} (id INTEGER, {escaped} VARCHAR(9))",
        f"INSERT INTO {escaped} VALUES (1, '甲')",
    )
    entry = entry_of(
        "police.people",
        {"kind": "database", "connection": "police", "table": name, "cursor": "value"},
        {"id": "integer", "value": {"type": "string", "source": name}},
    )
    assert rows(run(settings, department, entry)) == [{"id": 1, name: "甲"}]
    assert rows(run(settings, department, entry, day=2)) == [{"id": 1, name: "甲"}]
    assert department.value("SELECT count(*) FROM people") == 3


def test_a_view_is_read_like_a_table(settings: Settings, department: Department) -> None:
    department.run(*PEOPLE, "CREATE VIEW seen AS SELECT id, name, updated_at FROM people WHERE id < 3")
    assert ids(run(settings, department, people(table="seen", cursor="updated_at"))) == [1, 2]
    assert ids(run(settings, department, people(table="seen", cursor="updated_at"), day=2)) == [2]


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize(("name", "odd"), [("postgresql", "infinity"), ("mariadb", "0000-00-00")])
def test_dates_are_looked_for_where_one_is_none_of_the_calendar(
    settings: Settings,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    odd: str,
    beyond: int,
) -> None:
    """And the rows before it land once."""
    server: Department = request.getfixturevalue(name)
    module = {"postgresql": database_postgresql, "mariadb": database_mysql}[name]
    looked: list[object] = []
    real = module._odd

    def counting(*arguments: object) -> dict[str, int]:
        looked.append(real(*arguments))  # type: ignore[arg-type]
        return looked[-1]  # type: ignore[return-value]

    monkeypatch.setattr(module, "_odd", counting)
    many = ", ".join(f"({n}, '2026-01-01')" for n in range(50_000))
    loose = ["SET sql_mode = ''"] if name == "mariadb" else []
    last = [*loose, f"INSERT INTO t VALUES (50000, '{odd}')"] if beyond else []
    server.run("CREATE TABLE t (n integer, v date)", f"INSERT INTO t VALUES {many}", *last)
    landed = collect_table(settings, server.url, "t", ["n", "v"])
    [file] = landed.files
    table = pq.read_table(file.path)
    assert sorted(table["n"].to_pylist()) == list(range(50_000 + beyond))
    assert table["v"].to_pylist().count(odd) == beyond
    assert looked == [{"v": 1}] * beyond
    assert [*Path(file.path).parent.iterdir()] == [Path(file.path)]


def test_rows_that_do_not_add_up_land_nothing(
    settings: Settings, sqlite: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite.run(*PEOPLE)
    real = database.read

    def short(url: object, request: object) -> object:
        from contextlib import contextmanager
        from dataclasses import replace

        @contextmanager
        def wrong():
            with real(url, request) as found:
                yield replace(found, counted=lambda: Counted(4, None))

        return wrong()

    monkeypatch.setattr(database, "read", short)
    with pytest.raises(SourceError, match="counted 4 rows and sent 3"):
        run(settings, sqlite, people())
    monkeypatch.undo()
    assert landing.landed(settings, batch_of("police.people")) is None
    assert run(settings, sqlite, people()).rows == 3


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:s3cret@127.0.0.1:1/x", "cannot be reached"),
        ("postgresql+psycopg://u:s3cret@127.0.0.1:1/x", "cannot be reached"),
        ("mysql://u:s3cret@127.0.0.1:1/x", "cannot be reached"),
        ("postgresql://u:x@s3cret@127.0.0.1:5432/x", "host name cannot be found.*@ as %40"),
        ("postgresql+psycopg://u:x@s3cret@127.0.0.1:5432/x", "host name cannot be found.*@ as %40"),
        ("mysql://u:x@s3cret@127.0.0.1:3306/x", "host name cannot be found.*@ as %40"),
        ("postgresql://u:s3cret@127.0.0.1:5432/x?foo=s3cret", "refuses an option.*what follows the ?"),
        ("postgresql://u:s3cret@127.0.0.1:5432/x?sslmode=s3cret", "refuses an option"),
        ("postgresql://postgres:s3cret@127.0.0.1:5432/postgres?sslmode=require", "speaks no TLS.*`sslmode`"),
        ("postgresql+psycopg://u:s3cret@127.0.0.1:5432/x?foo=s3cret", "refuses an option"),
        ("mysql://u:s3cret@127.0.0.1:3306/x?foo=s3cret", "refuses an option"),
        ("postgresql://postgres:s3cret@127.0.0.1:5432/no_such_database", "no such database"),
        ("mysql://root@127.0.0.1:3306/no_such_database", "no such database"),
        ("mysql://nobody:s3cret@127.0.0.1:3306/mysql", "user or password was refused"),
        ("postgresql://no_such_role:s3cret@127.0.0.1:5432/postgres", "user or password was refused"),
        ("sqlite:////no/such/file.db", "no such database file"),
        ("sqlite://", "no such database file"),
    ],
)
def test_a_source_out_of_reach_is_told_without_its_password(settings: Settings, url: str, words: str) -> None:
    entry = people()
    with pytest.raises(SourceError, match=words) as error:
        collect(context_of(settings, [entry], {"police": url}), entry, batch_of(entry.id))
    assert "s3cret" not in str(error.value)
    assert error.value.next_step
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None


@pytest.mark.parametrize("url", ["not a url", "postgresql://h:port/x", "nosuchdialect://h/x"])
def test_a_url_that_is_none_is_a_settings_error(settings: Settings, url: str) -> None:
    entry = people()
    with pytest.raises(SettingsError):
        collect(context_of(settings, [entry], {"police": url}), entry, batch_of(entry.id))


def test_a_file_that_is_no_database(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("no database, but rather long: " * 100)
    entry = people()
    ctx = context_of(settings, [entry], {"police": f"sqlite:///{tmp_path / 'a.db'}"})
    with pytest.raises(SourceError, match="not an SQLite database"):
        collect(ctx, entry, batch_of(entry.id))
