"""Checks: expectations that exist, with arguments that they take, on fields that are there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, time
from functools import cache
from typing import Any, TypedDict

from schemas.draft import Draft
from schemas.engines import SPARK_CHECKS
from schemas.findings import Finding, KeyPath, listed, near
from schemas.house import HERE, House
from schemas.model import Check, EntryFile
from schemas.rules.fields import unknown_codes
from schemas.rules.names import known_field, known_fields
from schemas.rules.regexes import EXPECTED, misread
from schemas.yamlfile import parse


class Signature(TypedDict):
    """What an expectation takes; `columns` are the arguments that name fields."""

    arguments: list[str]
    required: list[str]
    columns: list[str]
    row_level: bool
    dimension: str


@cache
def signatures() -> dict[str, Signature]:
    """Every expectation by name: Great Expectations' own and ours, from expectations.yaml."""
    return parse((HERE / "expectations.yaml").read_text(encoding="utf-8"))[0]


def own_checks(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """A check names an expectation that exists, with arguments that it takes, on fields that are there."""
    for number, check in draft.said.items():
        path = ("checks", number)
        yield from check_findings(check, path, house)
        signature = signatures().get(check.expect)
        for argument in signature["columns"] if signature else ():
            named = check.arguments.get(argument)
            if isinstance(named, str):
                yield from known_field(named, (*path, argument), draft)
            elif isinstance(named, list):
                yield from known_fields(map(str, named), (*path, argument), draft)


def engine_does(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """An entry on a cluster has no check that is not known to come out there as it does here."""
    if written.engine == "spark":
        for name in sorted({check.expect for check in draft.checks} - SPARK_CHECKS):
            yield Finding(("engine",), f"spark does not do `{name}`", "`local`, or another check")


def check_findings(
    check: Check, path: KeyPath, house: House, given: tuple[str, ...] = ()
) -> Iterator[Finding]:
    """A check by itself; `given` are the arguments that are filled in later (`column`, in an element)."""
    signature = signatures().get(check.expect)
    if signature is None:
        unknown = f"no expectation `{check.expect}`" + near(check.expect, signatures())
        yield Finding((*path, "expect"), unknown, "a name of Great Expectations or of expectations/")
        return
    for name in check.arguments:
        if name not in signature["arguments"]:
            unknown = f"`{check.expect}` takes no `{name}`" + near(name, signature["arguments"])
            yield Finding((*path, name), unknown, f"one of {listed(signature['arguments'], 40)}")
    for name in signature["required"]:
        if name not in check.arguments and name not in given:
            yield Finding((*path, name), f"is missing: `{check.expect}` needs it", f"`{name}: …`")
    if check.on_fail == "quarantine" and not signature["row_level"]:
        why = f"`{check.expect}` names no rows, so none can be set aside"
        yield Finding((*path, "on_fail"), why, "`stop` or `warn`")
    yield from _values(check.arguments, path, house)


def _values(arguments: dict[str, Any], path: KeyPath, house: House) -> Iterator[Finding]:
    """Arguments whose values can be told wrong without data."""
    for name in ("regex", "regex_list"):
        said = arguments.get(name, [])
        for pattern in [said] if isinstance(said, str) else said if isinstance(said, list) else []:
            why = misread(pattern) if isinstance(pattern, str) else "is no regular expression"
            if why:
                yield Finding((*path, name), why, EXPECTED)
    yield from _bounds(arguments, path)
    mostly = arguments.get("mostly", 1)
    if isinstance(mostly, bool) or not isinstance(mostly, int | float) or not 0 < mostly <= 1:
        yield Finding((*path, "mostly"), "is not a share of the rows", "more than 0, at most 1")
    if isinstance(arguments.get("codes"), str):
        yield from unknown_codes(arguments["codes"], (*path, "codes"), house)
    if isinstance(arguments.get("dataset"), str):
        yield from _reference(arguments["dataset"], arguments.get("field"), path, house)


def _bounds(arguments: dict[str, Any], path: KeyPath) -> Iterator[Finding]:
    """Bounds that an expectation can hold a value against, the lower one first."""
    said = {name: arguments[name] for name in ("min_value", "max_value") if arguments.get(name) is not None}
    for name, value in said.items():
        if not _is_bound(value):
            yield Finding((*path, name), "is no bound", "a number, a date or a time: `0`, `2026-03-01`")
            return
    kinds = {float if isinstance(value, int) else type(value) for value in said.values()}
    if len(said) == 2 and len(kinds) == 1 and said["min_value"] > said["max_value"]:
        yield Finding((*path, "max_value"), "is below `min_value`, so nothing can pass", "the higher one")


def _is_bound(value: Any) -> bool:
    if not isinstance(value, str):
        return isinstance(value, int | float | date) and not isinstance(value, bool)
    for kind in (datetime, time):
        with suppress(ValueError):
            kind.fromisoformat(value)
            return True
    return False


def _reference(dataset: str, field: Any, path: KeyPath, house: House) -> Iterator[Finding]:
    other = house.by_id.get(dataset)
    if other is None:
        unknown = f"no dataset `{dataset}`" + near(dataset, house.by_id)
        yield Finding((*path, "dataset"), unknown, "a dataset of the catalogue")
    elif isinstance(field, str) and other.names and field not in other.names:
        unknown = f"`{dataset}` has no field `{field}`" + near(field, other.names)
        yield Finding((*path, "field"), unknown, f"a field of `{dataset}`")
