"""From an entry's checks to Great Expectations' objects, in the entry's order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from expectations import great, ours  # noqa: F401 - registers our own
from expectations.known import EXISTS, Known
from expectations.signatures import ROW_LEVEL
from expectations.sqltables import BATCH, FIELDS
from schemas.errors import CatalogueError, EngineError, Problem
from schemas.model import Check, Entry


@dataclass(frozen=True)
class Prepared:
    """A check with its expectation, bound to the view that it reads. `number` counts from 1 in the entry's
    order."""

    number: int
    check: Check
    expectation: Any
    row_level: bool

    @property
    def column(self) -> str | None:
        """The field or fields it speaks of, for people."""
        arguments = self.check.arguments
        pair = [arguments[key] for key in ("column_A", "column_B") if key in arguments]
        names = arguments.get("column") or pair or arguments.get("column_list")
        return ", ".join(names) if isinstance(names, list) else names


def prepare(entry: Entry, known: Known) -> list[Prepared]:
    """Every check of the entry. CatalogueError with all checks whose arguments the library refuses;
    EngineError for a dataset or code list that is not there to be looked into."""
    prepared, problems = [], []
    for number, check in enumerate(entry.checks, start=1):
        _needs(entry, check, known)
        try:
            prepared.append(_prepare(number, check, known))
        except great.pydantic.ValidationError as error:
            problems += [_problem(entry, number, check, detail) for detail in error.errors()]
        except great.GreatExpectationsError:  # the one thing that it parses itself; its message quotes it
            wrong = {"loc": ("row_condition",), "msg": "cannot be read as a condition"}
            problems.append(_problem(entry, number, check, wrong))
    if problems:
        raise CatalogueError(problems)
    return prepared


def _prepare(number: int, check: Check, known: Known) -> Prepared:
    kind = great.get_expectation_impl(check.expect)
    row_level = issubclass(kind, ROW_LEVEL)
    arguments = {**check.arguments, **_context(kind, known), "batch_id": BATCH if row_level else FIELDS}
    if arguments.get("row_condition"):
        arguments["condition_parser"] = "great_expectations"
    return Prepared(number, check, kind(**arguments), row_level)


def _context(kind: type[great.Expectation], known: Known) -> dict[str, Any]:
    """Arguments that the batch's surroundings give, not the catalogue."""
    given = {"interval_end": known.interval_end, "previous_rows": known.previous_rows}
    return {name: value for name, value in given.items() if name in kind.__fields__}


def _needs(entry: Entry, check: Check, known: Known) -> None:
    """What a check looks into must be there: without it every row would fail, which says nothing of the rows."""
    place: dict[str, Any] = {
        "dataset": entry.id,
        "field": str(check.arguments.get("column")),
        "rule": check.expect,
    }
    dataset, codes = check.arguments.get("dataset"), _code_list(check)
    if check.expect == EXISTS and dataset not in known.datasets:
        step = f"run {dataset} first, then this batch again"
        raise EngineError(f"{dataset} has no curated table to look into", next_step=step, **place)
    if codes is not None and codes not in known.codes:
        listed = ", ".join(sorted(known.codes)) or "none"
        raise EngineError(f"there is no code list {codes}", expected=f"one of: {listed}", **place)


def _code_list(check: Check) -> str | None:
    """The code list that a check names; `within` may also hold leading digits."""
    name = check.arguments.get("codes", check.arguments.get("within"))
    of_codes = check.expect.endswith(("_code_list", "_division_code"))
    return name if of_codes and isinstance(name, str) and not name.isdigit() else None


def _problem(entry: Entry, number: int, check: Check, detail: Any) -> Problem:
    argument = ".".join(str(part) for part in detail["loc"] if part != "__root__")
    key = f"checks[{number}].{argument}" if argument else f"checks[{number}]"
    return Problem(entry.file, 0, key, f"{check.expect} does not take this", str(detail["msg"]))
