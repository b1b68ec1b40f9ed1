"""The scope of a request (申请范围): what less than a policy's table may be asked for, and the table that it becomes.

A grant of some columns, or of the rows of the recipient's own territory, is a masked table of its own:
`share.civil_affairs__marriage__default__grant_12`. A policy of the catalogue has no `__` in its name, so that none is
ever taken for a grant's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from exchange.errors import Unfit
from exchange.process import Request
from schemas.model import Department, Entry, Field, Limits, Narrowed, Policy, Territory
from schemas.policy import mask_plan, policies

ELEMENT: Final = "division_code"
"""The data element by which a row tells its territory (GB/T 2260)."""
MOST_COLUMNS: Final = 500
OF_GRANT: Final = "__grant_"
"""What the name of a grant's own table has, and no other's."""


def scope(
    entry: Entry, policy: Policy, department: Department | None, asked: Mapping[str, Any]
) -> dict[str, Any]:
    """`columns`, `division` and `territory` of a request. Unfit for a column that the policy does not give, for a
    department without a territory, and for a table whose rows do not tell theirs."""
    plan = mask_plan(entry, "share", policy)
    columns = _columns(list(plan), asked.get("columns") or ())
    if asked.get("rows", "all") not in ("all", "own"):
        raise Unfit(
            "the rows asked for are unknown", expected="all, or own: those of the department's territory"
        )
    if asked.get("rows", "all") == "all":
        return {"columns": columns}
    if department is None or not department.division:
        raise Unfit(
            "the department serves the whole city: it has no rows of its own",
            expected="rows: all",
            next_step="where it serves a part, departments.yaml says so: `division:`",
            zh="本部门服务全市，没有仅属本区域的行",
        )
    territory = _territory(entry, asked.get("territory"))
    return {"columns": columns, "division": department.division, "territory": territory}


def _columns(given: list[str], asked: Any) -> tuple[str, ...]:
    """In the entry's order, each once; empty where all are asked for."""
    if not isinstance(asked, list | tuple) or len(asked) > MOST_COLUMNS:
        raise Unfit("the columns are malformed", expected=f"a list of at most {MOST_COLUMNS} names")
    unknown = sum(name not in given for name in asked)
    if unknown:
        raise Unfit(
            f"{unknown} of the columns are not given by the policy",
            expected=", ".join(given),
            rule="what a policy does not publish is not there to be asked for",
            zh="所选信息项不在共享范围内",
        )
    columns = tuple(name for name in given if name in asked)
    return columns if len(columns) < len(given) else ()


def _territory(entry: Entry, asked: Any) -> str:
    """The field that tells a row's territory. A table with several needs one to be named."""
    fields = territories(entry)
    if not fields:
        raise Unfit(
            f"a row of {entry.id} does not tell its territory",
            expected="rows: all",
            zh="该数据的行不分区域，只能申请全部行",
        )
    if len(fields) == 1 and not asked:
        return fields[0]
    if asked not in fields:
        raise Unfit(
            "which territory of a row is meant is not said",
            expected=f"territory: {' or '.join(fields)}",
            zh="请选择按哪一信息项区分区域",
        )
    return str(asked)


def territories(entry: Entry) -> list[str]:
    """The fields that tell a row's territory."""
    return [name for name, field in entry.fields.items() if _tells(field)]


def _tells(field: Field) -> bool:
    return field.element == ELEMENT and field.type == "string"


# ── the grant's table ─────────────────────────────────────────────────────────────────────────────────────


def name_of(request: Request) -> str:
    """The policy name of a grant's own table; the policy's own where it is the whole table."""
    terms = request.terms
    return f"{terms.policy}{OF_GRANT}{request.number}" if terms.narrow else terms.policy


def policy_of(entry: Entry, request: Request) -> Narrowed | None:
    """The policy narrowed to the grant: masks, and the limits of its disclosure, are the policy's. None where the
    catalogue gives the policy no more, nothing of the columns, or no field of the territory."""
    terms = request.terms
    base = policies(entry, "share").get(terms.policy)
    plan = mask_plan(entry, "share", base) if base else {}
    columns = tuple(name for name in plan if not terms.columns or name in terms.columns)
    field = entry.fields.get(terms.territory)
    if base is None or not columns or (terms.division and (field is None or not _tells(field))):
        return None
    return Narrowed(
        fields=columns,
        mask={name: mask for name, mask in base.mask.items() if name in columns},
        disclosure=_limits(base, columns),
        of=terms.policy,
        grant=request.number,
        recipient=terms.department,
        rows=Territory(field=terms.territory, division=terms.division) if terms.division else None,
    )


def _limits(base: Policy, columns: tuple[str, ...]) -> Limits | None:
    """The policy's, with what may be made coarser among the columns."""
    limits = base.disclosure
    if limits is None or limits.generalise == "auto":
        return limits
    return limits.model_copy(
        update={"generalise": tuple(name for name in limits.generalise if name in columns)}
    )


def policies_of(entry: Entry, grants: Iterable[Request]) -> dict[str, Narrowed]:
    """The tables that these grants of a dataset become, by policy name."""
    found = ((name_of(each), policy_of(entry, each)) for each in grants if each.terms.dataset == entry.id)
    return {name: policy for name, policy in found if policy is not None}
