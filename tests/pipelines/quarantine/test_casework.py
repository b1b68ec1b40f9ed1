"""Whose a row that was set aside is, in which state, and by when something is due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from lake import handling, quarantine
from lake.handling import PLACES, Said
from pipelines.context import Context
from pipelines.proof.certifying import open_log
from pipelines.quarantine.aside import asides
from pipelines.quarantine.assigning import Selection, assign, dismiss
from pipelines.quarantine.casework import cases, loads
from schemas.errors import XuanwuError
from schemas.load import Catalogue
from schemas.model import Department
from schemas.settings import Settings
from tests.pipelines.building import TITLE, context_of, entry_of

THURSDAY = datetime(2026, 3, 5, 4, tzinfo=UTC)
"""Noon in the city."""
DATASET, BATCH = "health.visit", "20260305T000000Z-00000001"
SHARED = {"dataset": "police.person", "field": "name", "on": "no", "key": "no"}
PERSON = entry_of(
    "police.person", {"kind": "file", "path": "p", "format": "csv"}, {"no": "string", "name": "string"}
)
VISIT = entry_of(
    DATASET,
    {"kind": "file", "path": "v", "format": "csv"},
    {"no": "string", "fee": "decimal", "name": {"type": "string", "shared_from": SHARED}},
)


@pytest.fixture
def ctx(settings: Settings) -> Iterator[Context]:
    """Rows 1 to 4 of a batch were set aside on Thursday: by the fee, by the name, by both, and by the whole row."""
    made = context_of(settings, [VISIT, PERSON])
    named = {
        name: Department.model_validate({"title": TITLE, "uscc": "x"})
        for name in ("health", "police", "bureau")
    }
    whole = Catalogue(made.catalogue.root, made.catalogue.entries, {}, named, {})
    ctx = replace(made, catalogue=whole, clock=lambda: THURSDAY)
    put(ctx, ["fee"], ["name"], ["fee", "name"], [""])
    yield ctx


def put(ctx: Context, *rows: list[str], batch: str = BATCH, file: str = "a.csv") -> None:
    found: list[dict[str, Any]] = [
        {
            "batch": batch,
            "stage": "check",
            "file": file,
            "row": number,
            "failures": [
                {"field": field, "rule": f"r_{field or 'row'}", "expected": "else"} for field in fields
            ],
            "data": "{}",
            "at": ctx.clock(),
        }
        for number, fields in enumerate(rows, 1)
    ]
    table = pa.Table.from_pylist(found, schema=quarantine.SCHEMA)
    quarantine.put(ctx.tables, DATASET, batch, "check", table.to_reader())


def at(ctx: Context, day: int, hour: int = 4) -> Context:
    return replace(ctx, clock=lambda: datetime(2026, 3, day, hour, tzinfo=UTC))


def told(ctx: Context) -> dict[tuple[str, str], int]:
    """Rows by state and department."""
    found: dict[tuple[str, str], int] = {}
    for case in cases(ctx, DATASET, by_rule=False):
        found[case.state, case.department] = found.get((case.state, case.department), 0) + case.rows
    return found


def rows_of(ctx: Context, kind: str) -> dict[str | None, list[int]]:
    acts = [act for act in handling.acts(ctx.settings, DATASET, BATCH) if act.kind == kind]
    return {act.department: sorted(handling.rows_of(ctx.settings, act)["row"].to_pylist()) for act in acts}


def test_what_another_department_gives_is_its_own_to_correct(ctx: Context) -> None:
    assign(ctx, VISIT, Selection(states=frozenset({"open"})), None, by="li")
    assert rows_of(ctx, "assign") == {"health": [1, 3, 4], "police": [2]}
    assert told(ctx) == {("assigned", "health"): 3, ("assigned", "police"): 1}
    assert assign(ctx, VISIT, Selection(states=frozenset({"open"})), None, by="li") == [], (
        "nobody waits any more"
    )


def test_rows_are_chosen_by_what_they_have_in_common(ctx: Context) -> None:
    put(ctx, ["fee"], batch="20260306T000000Z-00000002")
    dismiss(ctx, VISIT, Selection(batch=BATCH, rule="r_fee"), by="li", why="源系统已停用")
    assert rows_of(ctx, "dismiss") == {None: [1, 3]}
    assign(ctx, VISIT, Selection(file="a.csv", rows=frozenset({4})), "bureau", by="li", why="整行无法读取")
    assert told(ctx) == {("dismissed", ""): 2, ("assigned", "bureau"): 1, ("open", ""): 2}
    assert list(assign(ctx, VISIT, Selection(stage="merge"), None, by="li")) == []
    assert list(assign(ctx, VISIT, Selection(file="b.csv"), None, by="li")) == []


def test_a_file_that_is_called_after_a_person_is_chosen_as_it_is_shown(ctx: Context) -> None:
    put(ctx, ["fee"], batch="20260306T000000Z-00000002", file="13987651234.csv")
    assert {row.file for row in asides(ctx, VISIT)} == {"a.csv", "[手机号].csv"}
    chosen = Selection(file="[手机号].csv")
    (act,) = assign(ctx, VISIT, chosen, "bureau", by="li", why="整行无法读取")
    assert handling.rows_of(ctx.settings, act)["file"].to_pylist() == ["13987651234.csv"]
    assert len(list(dismiss(ctx, VISIT, Selection(file="13987651234.csv"), by="li", why="源系统已停用"))) == 1


@pytest.mark.parametrize(
    ("by", "why", "words"),
    [
        ("li", "", "missing"),
        ("", "x", "missing"),
        ("li", "找 13912345678", "person's name or number"),
        ("li", "长" * 501, "too long"),
    ],
)
def test_a_dismissal_needs_a_reason_that_may_be_kept(ctx: Context, by: str, why: str, words: str) -> None:
    with pytest.raises(XuanwuError, match=words):
        dismiss(ctx, VISIT, Selection(), by=by, why=why)
    assert told(ctx) == {("open", ""): 4}


def test_there_is_no_such_department(ctx: Context) -> None:
    with pytest.raises(XuanwuError, match=r"no department `tax`.*bureau, health, police"):
        assign(ctx, VISIT, Selection(), "tax", by="li")


def test_the_clocks_count_working_days(ctx: Context) -> None:
    """Two to assign from Thursday: until Monday. Ten to correct from Tuesday: until Tuesday of the week after next."""
    (case,) = [c for c in cases(ctx, DATASET, by_rule=False) if c.state == "open"]
    assert (case.since, case.due, case.overdue, case.rows) == (date(2026, 3, 5), date(2026, 3, 9), 0, 4)
    assert cases(at(ctx, 9, 15), DATASET, by_rule=False)[0].overdue == 0
    late = at(ctx, 9, 17)  # Tuesday has begun in the city
    assert cases(late, DATASET, by_rule=False)[0].overdue == 4
    assert case.age(late.clock()) == 3
    assign(at(ctx, 10), VISIT, Selection(), "health", by="li")
    (case,) = cases(at(ctx, 24), DATASET, by_rule=False)
    assert (case.state, case.since, case.due, case.overdue) == (
        "assigned",
        date(2026, 3, 10),
        date(2026, 3, 24),
        0,
    )
    assert cases(at(ctx, 25), DATASET, by_rule=False)[0].overdue == 4
    dismiss(at(ctx, 25), VISIT, Selection(rows=frozenset({1})), by="li", why="已注销")
    by_state = {c.state: c for c in cases(at(ctx, 30), DATASET, by_rule=False)}
    assert (by_state["dismissed"].due, by_state["dismissed"].overdue) == (None, 0)
    assert by_state["assigned"].overdue == 3


def test_a_row_that_broke_two_rules_is_in_two_cases_and_counts_once(ctx: Context) -> None:
    found = {(c.field, c.rule): c.rows for c in cases(ctx, DATASET)}
    assert found == {("fee", "r_fee"): 2, ("name", "r_name"): 2, ("", "r_row"): 1}
    assert sum(c.rows for c in cases(ctx, DATASET, by_rule=False)) == 4


def test_assigned_again_the_clock_begins_anew_and_run_again_it_does_not(ctx: Context) -> None:
    assign(ctx, VISIT, Selection(), "health", by="li")
    put(at(ctx, 12), ["fee"], ["name"], ["fee", "name"], [""])
    assert cases(at(ctx, 12), DATASET, by_rule=False)[0].since == date(2026, 3, 5)
    assign(at(ctx, 13), VISIT, Selection(), "bureau", by="li")
    (case,) = cases(at(ctx, 13), DATASET, by_rule=False)
    assert (case.department, case.since) == ("bureau", date(2026, 3, 13))


def test_what_each_department_has_the_most_overdue_first(ctx: Context) -> None:
    assign(ctx, VISIT, Selection(rows=frozenset({1, 2, 3})), None, by="li")
    (first, second) = loads(at(ctx, 20))
    assert (first.department, first.overdue, first.due) == ("health", 3, date(2026, 3, 9))
    assert dict(first.rows) == {"assigned": 2, "open": 1}, "what nobody has is its owner's"
    assert (second.department, second.overdue) == ("police", 1)
    assert [load.overdue for load in loads(at(ctx, 6))] == [0, 0]


def test_an_act_on_rows_that_are_not_set_aside_makes_no_case(ctx: Context) -> None:
    table = pa.Table.from_pylist([{"file": "z.csv", "row": 9}], schema=PLACES)
    handling.record(
        ctx.settings,
        open_log(ctx)[0],
        (DATASET, BATCH),
        "assign",
        table,
        said=Said("li", THURSDAY, department="x"),
    )
    assert told(ctx) == {("open", ""): 4}
