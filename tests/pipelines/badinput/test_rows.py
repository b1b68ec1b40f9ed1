"""Rows that cannot be used are set aside with their reason; the others go their way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lake.records import Checked, Landed, Standardised
from tests.pipelines.badinput.forms import (
    Rows,
    cell,
    ragged,
)
from tests.pipelines.badinput.town import (
    CANARY,
    GOOD_ROWS,
    HEADER,
    Found,
    csv_of,
    rows,
)

ASIDE: dict[str, tuple[Callable[[Rows], Rows], set[tuple[str, int, str, str]]]] = {
    "ragged rows": (ragged, {("standardise", 5, "", "malformed"), ("standardise", 6, "", "malformed")}),
    "a cell of 10 MB": (cell(1, CANARY + "长" * 3_500_000), {("standardise", 6, "", "malformed")}),
    "a NUL byte": (cell(1, f"{CANARY}\0名"), {("standardise", 6, "", "malformed")}),
    "no number": (cell(3, f"{CANARY}岁"), {("standardise", 6, "age", "integer")}),
    "a failed check": (
        cell(2, f"{CANARY}话"),
        {("check", 6, "phone", "expect_column_values_to_match_regex")},
    ),
    "no key": (cell(0, ""), {("check", 6, "no", "expect_column_values_to_not_be_null")}),
}


@pytest.mark.parametrize("fault", ASIDE)
def test_rows_are_set_aside(found: Found, fault: str) -> None:
    spoil, expected = ASIDE[fault]
    town = found()
    town.leave("01", csv_of(rows(1)))
    town.good(1)
    data = town.leave("02", csv_of(spoil(rows(2))))
    landed, standardised, checked, merged, *_ = town.run(2)
    assert (
        isinstance(landed, Landed) and isinstance(standardised, Standardised) and isinstance(checked, Checked)
    )
    assert landed.rows == GOOD_ROWS
    assert set(town.aside(2)) == expected
    assert standardised.quarantined + checked.quarantined == len(expected)
    assert merged.rows_in == GOOD_ROWS - len(expected)  # type: ignore[attr-defined]
    town.keeps(2, data)
    assert not [each for each in town.ctx.ledger.sums() if not each.sum.holds]
    town.leave("03", csv_of(rows(3)))
    town.good(3)


def test_a_new_column_is_noted_and_not_taken(found: Found) -> None:
    town = found()
    town.leave("01", csv_of([(*row, f"{CANARY}new") for row in rows(1)], (*HEADER, "photo")))
    town.good(1)
    landed = town.run(1)[0]
    assert isinstance(landed, Landed)
    assert any("photo" in note for note in landed.notes)
    for zone, name in (
        ("curated", "police__person"),
        ("share", "police__person__default"),
        ("open", "police__person"),
    ):
        assert "photo" not in town.ctx.tables.schema((zone, name)).names  # type: ignore[arg-type]
    town.leave("02", csv_of(rows(2)))
    town.good(2)
