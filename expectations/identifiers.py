"""Expectations on identifiers: resident id, unified social credit code, mobile number, division code.

The rules themselves are the Arrow kernels of `schemas.identifiers`; `expectations.functions` makes them SQL
functions of the same names, so that each rule exists once.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import sqlalchemy as sa

from expectations import great
from expectations.conditions import condition
from expectations.sqltables import codes_table

condition("column_values.valid_resident_id", (), sa.func.is_resident_id)
condition("column_values.valid_uscc", (), sa.func.is_uscc)
condition("column_values.valid_mobile_number", (), sa.func.is_mobile)


class ExpectColumnValuesToBeValidResidentId(great.ColumnMapExpectation):
    """Each value is a resident id of GB 11643: 18 characters, a real date of birth, a right MOD 11-2 check
    character."""

    map_metric: ClassVar[str] = "column_values.valid_resident_id"


class ExpectColumnValuesToBeValidUscc(great.ColumnMapExpectation):
    """Each value is a unified social credit code of GB 32100, with a right check character."""

    map_metric: ClassVar[str] = "column_values.valid_uscc"


class ExpectColumnValuesToBeValidMobileNumber(great.ColumnMapExpectation):
    """Each value is a mobile number of mainland China: 11 digits, with a prefix in use."""

    map_metric: ClassVar[str] = "column_values.valid_mobile_number"


def _division_code(column: Any, within: str | list[str] | None) -> Any:
    form = sa.func.is_division_code(column)
    if within is None:
        return form
    if isinstance(within, str) and not within.isdigit():
        return sa.and_(
            form, column.in_(sa.select(sa.column("code")).select_from(sa.table(codes_table(within))))
        )
    prefixes = [within] if isinstance(within, str) else within
    return sa.and_(form, sa.or_(*(sa.func.starts_with(column, prefix) for prefix in prefixes)))


condition("column_values.valid_division_code", ("within",), _division_code)


class ExpectColumnValuesToBeValidDivisionCode(great.ColumnMapExpectation):
    """Each value is a division code of GB/T 2260 in form; `within` narrows it to a code list of the
    catalogue, by name, or to the divisions below one code or several, by their leading digits: `"3201"` is
    Nanjing."""

    within: str | list[str] | None = None

    map_metric: ClassVar[str] = "column_values.valid_division_code"
    success_keys: ClassVar[tuple[str, ...]] = ("mostly", "within")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "within")

    @great.pydantic.validator("within")
    @classmethod
    def _form(cls, value: Any) -> Any:
        prefixes = value if isinstance(value, list) else []
        if value == [] or not all(re.fullmatch(r"\d{1,6}", prefix) for prefix in prefixes):
            raise ValueError("a code list's name, or leading digits of division codes")
        return value


def _matches(column: Any, birth_date: str | None, gender: str | None) -> Any:
    """GB 11643: digits 7-14 are the date of birth, the 17th is odd for men. Ids of another length are left to
    the expectation on their form; of gender codes (GB/T 2261.1) only 1 male and 2 female say something."""
    rules = []
    if birth_date:
        born: Any = sa.column(birth_date)
        rules.append(sa.or_(born.is_(None), sa.func.strftime(born, "%Y%m%d") == sa.func.substr(column, 7, 8)))
    if gender:
        code = sa.cast(sa.column(gender), sa.String)
        by_id = sa.case((sa.func.substr(column, 17, 1).in_(list("13579")), "1"), else_="2")
        rules.append(sa.or_(code.is_(None), code.not_in(("1", "2")), code == by_id))
    return sa.or_(sa.func.length(column) != 18, sa.and_(*rules))


condition("column_values.resident_id_matches", ("birth_date", "gender"), _matches)


class ExpectResidentIdToMatchBirthDateAndGender(great.ColumnMapExpectation):
    """The resident id in `column` agrees with the fields named by `birth_date` (a date) and `gender` (GB/T
    2261.1)."""

    birth_date: str | None = None
    gender: str | None = None

    map_metric: ClassVar[str] = "column_values.resident_id_matches"
    success_keys: ClassVar[tuple[str, ...]] = ("mostly", "birth_date", "gender")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "birth_date", "gender")

    @great.pydantic.root_validator
    @classmethod
    def _one(cls, values: dict[str, Any]) -> dict[str, Any]:
        if not (values.get("birth_date") or values.get("gender")):
            raise ValueError("the name of a field that holds the date of birth or the gender")
        return values
