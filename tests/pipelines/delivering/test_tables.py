"""Into real databases: whole tables swapped, changes applied, each once; whatever goes wrong leaves what was there."""

from __future__ import annotations

import secrets
import threading
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from exchange.errors import Forbidden
from pipelines.delivering.order import Order
from schemas.errors import DeliveryError, DeliveryUnfit
from tests.pipelines.delivering.conftest import Rows, order, push, reader, rows_of
from tests.pipelines.sources.conftest import Department
from tests.waiting import together

FIRST = [("A1", "王小明", 10), ("A2", "李雷", None), ("a1", "", 30), ("a1 ", "韩𠮷", -(2**63))]
SECOND = [("A1", "王小明", 11), ("A2", "李雷", None), ("a1 ", "韩𠮷", -(2**63)), ("B1", None, 2)]
UPSERT: dict[str, Any] = {"keys": ("no",)}


@pytest.fixture(params=["swap", "upsert"])
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    return UPSERT if request.param == "upsert" else {}


def numbers(counts: Any) -> tuple[int, ...]:
    return counts.rows, counts.sent, counts.found


# ── what arrives ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_snapshot_arrives_once_and_the_next_in_its_place(
    recipient: Department, mode: dict[str, Any]
) -> None:
    assert numbers(push(recipient, order(FIRST, **mode))) == (4, 4, 4)
    assert rows_of(recipient) == sorted(FIRST)
    assert numbers(push(recipient, order(FIRST, **mode))) == (4, 0, 4)
    assert push(recipient, order(SECOND, 2, **mode)).sent == 4
    assert rows_of(recipient) == sorted(SECOND)
    assert numbers(push(recipient, order([], 3, **mode))) == (0, 0, 0)
    assert rows_of(recipient) == []


def test_only_what_changed_is_sent_and_counted(recipient: Department) -> None:
    push(recipient, order(FIRST, **UPSERT))
    done = push(recipient, order(SECOND, 2, before={1: FIRST}, **UPSERT))
    assert (done.sent, done.inserted, done.updated, done.deleted, done.found) == (2, 1, 1, 1, 4)
    assert rows_of(recipient) == sorted(SECOND)
    back = push(recipient, order(FIRST, 3, **UPSERT))  # what changed is not known
    assert (back.sent, back.inserted, back.updated, back.deleted, back.found) == (4, 1, 1, 1, 4)
    assert rows_of(recipient) == sorted(FIRST)


COUPLES = pa.schema(
    [("district", pa.string()), ("year", pa.int64()), ("no", pa.int64()), ("memo", pa.string())]
)
OF_TWO_PARTS: dict[str, Any] = {"schema": COUPLES, "keys": ("district", "year", "no"), "place": "couples"}
"""A key of three columns, of which no one alone tells a row from another."""


def couples(recipient: Department) -> list[tuple[Any, ...]]:
    with recipient.engine.begin() as connection:
        found = connection.exec_driver_sql("SELECT district, year, no, memo FROM couples").all()
    return sorted(map(tuple, found), key=str)


@pytest.mark.parametrize("known", [True, False], ids=["what changed", "the whole"])
def test_a_key_of_several_columns(recipient: Department, known: bool) -> None:
    """Rows that share a part of the key are told apart; one whose key changes goes and comes again; two that change
    places keep their own."""
    first = [("玄武", 2025, 1, "a"), ("玄武", 2025, 2, "b"), ("玄武", 2026, 1, "c"), ("秦淮", 2025, 1, None)]
    second = [
        ("玄武", 2025, 1, "b"),  # a and b have changed places
        ("玄武", 2025, 2, "a"),
        ("玄武", 2027, 1, "c"),  # its key is another
        ("秦淮", 2025, 1, None),  # as it was
        ("", 0, -1, "new"),
    ]
    push(recipient, order(first, **OF_TWO_PARTS))
    assert couples(recipient) == sorted(first, key=str)
    done = push(recipient, order(second, 2, before={1: first} if known else None, **OF_TWO_PARTS))
    assert (done.inserted, done.updated, done.deleted, done.found) == (2, 2, 1, 5)
    assert couples(recipient) == sorted(second, key=str)
    third = second[1:2]
    done = push(recipient, order(third, 3, before={2: second} if known else None, **OF_TWO_PARTS))
    assert (done.inserted, done.updated, done.deleted, done.found) == (0, 0, 4, 1)
    assert couples(recipient) == third


@pytest.mark.parametrize("hole", [0, 1, 2])
def test_a_key_with_a_hole_changes_nothing(recipient: Department, hole: int) -> None:
    """The way gives none: a row without its key is set aside. Were there one, no row could be found by it again."""
    first = [("玄武", 2025, 1, "a")]
    push(recipient, order(first, **OF_TWO_PARTS))
    holed = tuple(None if place == hole else value for place, value in enumerate(("玄武", 2026, 1, "b")))
    with pytest.raises((DeliveryError, DeliveryUnfit)):
        push(recipient, order([*first, holed], 2, before={1: first}, **OF_TWO_PARTS))
    assert couples(recipient) == first


def test_a_key_that_comes_twice_changes_nothing(recipient: Department) -> None:
    first = [("玄武", 2025, 1, "a")]
    push(recipient, order(first, **OF_TWO_PARTS))
    twice = [*first, ("玄武", 2026, 1, "b"), ("玄武", 2026, 1, "c")]
    with pytest.raises((DeliveryError, DeliveryUnfit)):
        push(recipient, order(twice, 2, before={1: first}, **OF_TWO_PARTS))
    assert couples(recipient) == first


def test_rows_written_again_unchanged_are_no_change(recipient: Department) -> None:
    push(recipient, order(FIRST, **UPSERT))
    done = push(recipient, order(FIRST, 2, **UPSERT))
    assert (done.inserted, done.updated, done.deleted) == (0, 0, 0)


def test_a_password_with_a_blank(postgresql: Department) -> None:
    url = make_url(postgresql.url).set(password="p@ss w+rd").render_as_string(hide_password=False)
    push(postgresql, order(FIRST), url)
    assert rows_of(postgresql) == sorted(FIRST)


def test_the_recipients_indices_columns_and_grants_stay(postgresql: Department) -> None:
    push(postgresql, order(FIRST))
    postgresql.run(
        "CREATE INDEX of_fee ON visits (fee)",
        "GRANT SELECT ON visits TO pg_monitor, PUBLIC",
    )
    push(postgresql, order(SECOND, 2))
    assert postgresql.value("SELECT has_table_privilege('pg_monitor', 'visits', 'SELECT')")
    assert postgresql.value("SELECT count(*) FROM pg_indexes WHERE tablename = 'visits'") == 1
    push(postgresql, order(FIRST, place="kept", name="d p 2", **UPSERT))
    postgresql.run("ALTER TABLE kept ADD COLUMN noted text DEFAULT 'ours'")
    push(postgresql, order(SECOND, 2, place="kept", name="d p 2", before={1: FIRST}, **UPSERT))
    assert postgresql.value("SELECT count(*) FROM kept WHERE noted = 'ours'") == 4


def test_indices_stay_in_mariadb_and_nothing_lies_beside(mariadb: Department) -> None:
    push(mariadb, order(FIRST))
    mariadb.run("CREATE INDEX of_fee ON visits (fee)", "CREATE TABLE visits__xuanwu_new (left_over int)")
    push(mariadb, order(SECOND, 2))
    tables = "SELECT group_concat(table_name) FROM information_schema.tables WHERE table_schema = database()"
    assert mariadb.value(tables) == "visits"
    indices = "SELECT count(*) FROM information_schema.statistics WHERE table_schema = database()"
    assert mariadb.value(indices) == 1


TYPES: dict[str, tuple[pa.DataType, Any]] = {
    "s": (
        pa.string(),
        st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=9),
    ),
    "i": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "f": (pa.float64(), st.floats(allow_nan=False, allow_infinity=False)),
    "b": (pa.bool_(), st.booleans()),
    "d": (pa.date32(), st.dates(date(1, 1, 1), date(9999, 12, 31))),
    "t": (
        pa.timestamp("us", "UTC"),
        st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),
    ),
    "n": (
        pa.decimal128(38, 6),
        st.integers(-(10**38) + 1, 10**38 - 1).map(lambda whole: Decimal(f"{whole}E-6")),
    ),
    "y": (pa.binary(), st.binary(max_size=9)),
}


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(st.tuples(*(st.one_of(st.none(), each) for _, each in TYPES.values())), min_size=1, max_size=6)
)
def test_every_type_arrives_as_it_is(recipient: Department, found: list[tuple[Any, ...]]) -> None:
    schema = pa.schema([("k", pa.int64()), *((name, kind) for name, (kind, _) in TYPES.items())])
    rows = [(number, *row) for number, row in enumerate(found)]
    recipient.run("DROP TABLE IF EXISTS visits")
    assert push(recipient, order(rows, schema=schema)).altered == 0
    arrived = rows_of(recipient, columns=", ".join(schema.names))
    assert [tuple(map(_plain, row)) for row in arrived] == [tuple(map(_plain, row)) for row in rows]


def _plain(value: Any) -> Any:
    """As both databases' drivers give it: MariaDB's moments have no zone, its booleans are numbers."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return int(value) if isinstance(value, bool) else value


def test_what_a_database_cannot_hold_is_counted(postgresql: Department, mariadb: Department) -> None:
    done = push(postgresql, order([("A", "x\0y\0", 1), ("B", "z", 2)]))
    assert (done.altered, rows_of(postgresql)[0][1]) == (
        1,
        "x\N{REPLACEMENT CHARACTER}y\N{REPLACEMENT CHARACTER}",
    )
    schema = pa.schema([("no", pa.string()), ("f", pa.float64())])
    done = push(mariadb, order([("A", float("nan")), ("B", float("-inf")), ("C", 1.5)], schema=schema))
    assert (done.altered, rows_of(mariadb, columns="no, f")) == (2, [("A", None), ("B", None), ("C", 1.5)])
    push(mariadb, order([("A", "x\0y", 1)], place="nul"))
    assert rows_of(mariadb, "nul") == [("A", "x\0y", 1)]


# ── what goes wrong ───────────────────────────────────────────────────────────────────────────────────────


def stands(recipient: Department, rows: Rows = FIRST) -> None:
    """The recipient sees what it saw before, and the next delivery does what was left undone."""
    assert rows_of(recipient) == sorted(rows)


def test_a_table_of_somebody_elses_is_left_alone(recipient: Department, mode: dict[str, Any]) -> None:
    recipient.run("CREATE TABLE visits (no varchar(9), name varchar(9), fee bigint)")
    with pytest.raises(DeliveryUnfit, match="did not make it"):
        push(recipient, order(FIRST, **mode))
    recipient.run("DROP TABLE visits")
    push(recipient, order(FIRST, **mode))
    with pytest.raises(DeliveryUnfit, match="did not make it"):
        push(recipient, order(SECOND, 2, name="health.visit default 2", **mode))
    stands(recipient)


def test_a_table_of_another_form_is_told_column_by_column(
    recipient: Department, mode: dict[str, Any]
) -> None:
    push(recipient, order(FIRST, **mode))
    recipient.run("ALTER TABLE visits DROP COLUMN name")
    with pytest.raises(DeliveryUnfit, match=r"it lacks name (long)?text.*deliveries retry"):
        push(recipient, order(SECOND, 2, **mode))
    recipient.run("DROP TABLE visits")
    push(recipient, order(SECOND, 3, **mode))
    stands(recipient, SECOND)


def test_a_swap_would_lose_a_column_of_the_recipients(recipient: Department) -> None:
    push(recipient, order(FIRST))
    recipient.run("ALTER TABLE visits ADD COLUMN noted int")
    with pytest.raises(DeliveryUnfit, match="it alone has noted"):
        push(recipient, order(SECOND, 2))


def test_rows_that_do_not_balance_change_nothing(recipient: Department, mode: dict[str, Any]) -> None:
    push(recipient, order(FIRST, **mode))
    with pytest.raises(DeliveryError, match="would hold 4 rows, the snapshot has 5"):
        push(recipient, replace(order(SECOND, 2, **mode), rows=5))
    stands(recipient)
    if mode:
        recipient.run("DELETE FROM visits WHERE no = 'A2'")
        with pytest.raises(DeliveryError, match="would hold 3 rows"):
            push(recipient, order(SECOND, 2, before={1: FIRST}, **mode))
    push(recipient, order(SECOND, 3, **mode))
    stands(recipient, SECOND)


def test_the_right_may_end_until_the_last_moment(recipient: Department, mode: dict[str, Any]) -> None:
    push(recipient, order(FIRST, **mode))

    def ended() -> None:
        raise Forbidden("ended")

    with pytest.raises(Forbidden):
        push(recipient, order(SECOND, 2, still=ended, **mode))
    stands(recipient)


def test_a_connection_that_is_cut_changes_nothing(recipient: Department, mode: dict[str, Any]) -> None:
    push(recipient, order(FIRST, **mode))
    url = recipient.url
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'xuanwu'"
        " AND datname = current_database()"
    )

    def cut() -> pa.RecordBatchReader:
        def batches() -> Any:
            yield from reader(SECOND[:1])
            if url.startswith("postgresql"):
                recipient.run(kill)
            else:
                with recipient.engine.begin() as connection:
                    for (number,) in connection.exec_driver_sql(
                        "SELECT id FROM information_schema.processlist"
                        " WHERE db = database() AND id <> connection_id()"
                    ).all():
                        connection.exec_driver_sql(f"KILL {number}")
            yield from reader(SECOND[1:])

        return pa.RecordBatchReader.from_batches(reader([]).schema, batches())

    with pytest.raises(DeliveryError, match=r"the connection was lost; nothing was changed|reported"):
        push(recipient, order(SECOND, 2, whole=cut, **mode))
    stands(recipient)
    push(recipient, order(SECOND, 2, **mode))
    stands(recipient, SECOND)


def test_what_the_lake_cannot_give_is_told_as_the_lakes(recipient: Department, mode: dict[str, Any]) -> None:
    def broken() -> pa.RecordBatchReader:
        def batches() -> Any:
            yield from reader(SECOND[:1])
            raise FileNotFoundError("a data file of the lake")

        return pa.RecordBatchReader.from_batches(reader([]).schema, batches())

    with pytest.raises(FileNotFoundError, match="of the lake"):
        push(recipient, order(SECOND, whole=broken, **mode))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "wrong-secret", "username": "nobody_here"}, "user or password was refused"),
        ({"port": 1}, "cannot be reached"),
        ({"database": "no_such_database"}, "no such database"),
    ],
)
def test_a_connection_that_is_wrong_is_told_without_its_secret(
    recipient: Department, change: dict[str, Any], said: str
) -> None:
    from sqlalchemy.engine import make_url

    url = make_url(recipient.url).set(**change).render_as_string(hide_password=False)
    with pytest.raises(DeliveryError, match=said) as error:
        push(recipient, order(FIRST), url)
    assert "wrong-secret" not in str(error.value)


def test_views_on_a_swapped_table_are_told(postgresql: Department) -> None:
    push(postgresql, order(FIRST))
    postgresql.run("CREATE VIEW on_it AS SELECT no FROM visits")
    with pytest.raises(DeliveryUnfit, match=r"views or foreign keys depend.*mode: upsert"):
        push(postgresql, order(SECOND, 2))
    stands(postgresql)


def test_two_at_once_deliver_once(recipient: Department, mode: dict[str, Any]) -> None:
    push(recipient, order(FIRST, **mode))
    sent: list[int] = []

    def one() -> None:
        sent.append(push(recipient, order(SECOND, 2, **mode)).sent)

    both = [threading.Thread(target=one) for _ in range(2)]
    together(*both)
    assert sorted(sent) == [0, 4]
    stands(recipient, SECOND)


def test_a_reader_sees_what_was_before_until_all_is_there(postgresql: Department) -> None:
    push(postgresql, order(FIRST, **UPSERT))
    seen: list[object] = []

    def look() -> None:
        seen.append(rows_of(postgresql))

    push(postgresql, order(SECOND, 2, still=look, **UPSERT))
    assert seen == [sorted(FIRST)]


def test_a_schema_is_named(postgresql: Department) -> None:
    postgresql.run("CREATE SCHEMA inbox")
    made: Order = order(FIRST, place="inbox.visits", **UPSERT)
    push(postgresql, made)
    assert rows_of(postgresql, "inbox.visits") == sorted(FIRST)
    assert postgresql.value("SELECT count(*) FROM inbox.xuanwu_delivered") == 1
    with pytest.raises(DeliveryUnfit, match="no such schema"):
        push(postgresql, order(FIRST, place="nowhere.visits"))


def test_the_privileges_that_the_page_lists_are_enough(recipient: Department, mode: dict[str, Any]) -> None:
    """docs/delivery.md, for the operator."""
    from sqlalchemy.engine import make_url

    url = make_url(recipient.url)
    name, postgresql = f"xw_{secrets.token_hex(4)}", url.get_backend_name() == "postgresql"
    if postgresql:
        recipient.run(
            f"CREATE ROLE {name} LOGIN PASSWORD 'only-here'",
            "CREATE SCHEMA inbox",
            f"GRANT CREATE, USAGE ON SCHEMA inbox TO {name}",
            f"REVOKE TEMPORARY ON DATABASE {url.database} FROM PUBLIC",
            f"{'GRANT' if mode else 'REVOKE'} TEMPORARY ON DATABASE {url.database} "
            f"{'TO' if mode else 'FROM'} {name}",
        )
    else:
        rights = "SELECT, INSERT, CREATE, ALTER, DROP"
        if mode:
            rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, CREATE TEMPORARY TABLES"
        recipient.run(
            f"CREATE USER {name} IDENTIFIED BY 'only-here'", f"GRANT {rights} ON {url.database}.* TO {name}"
        )
    own = url.set(username=name, password="only-here").render_as_string(hide_password=False)
    place = "inbox.visits" if postgresql else "visits"
    try:
        push(recipient, order(FIRST, place=place, **mode), own)
        push(recipient, order(SECOND, 2, place=place, **mode), own)
        assert rows_of(recipient, place) == sorted(SECOND)
        if postgresql:
            with pytest.raises(DeliveryUnfit, match="connection's user may not do this"):
                push(recipient, order(FIRST, place="public.visits", **mode), own)
    finally:
        recipient.run(
            *([f"DROP OWNED BY {name}", f"DROP ROLE {name}"] if postgresql else [f"DROP USER {name}"])
        )
