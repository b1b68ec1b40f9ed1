"""The derived datasets computed again in plain Python from the expected curated tables; means are not rounded."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from statistics import fmean
from typing import Any

from tests.city.expected import Key, Table

DERIVED = ("base.population", "base.legal_person", "theme.enterprise_vitality", "theme.district_statistics")
Groups = dict[Key, list[dict[str, Any]]]


def derived(tables: dict[str, Table]) -> dict[str, Table]:
    """Each derived table by its key, from the tables of the datasets that have a source."""
    population = _population(tables)
    return {
        "base.population": population,
        "base.legal_person": _legal_persons(tables),
        "theme.enterprise_vitality": _vitality(tables),
        "theme.district_statistics": _districts(tables, population),
    }


def _population(tables: dict[str, Table]) -> Table:
    newest: dict[str, tuple[Any, str]] = {}
    for row in tables["civil_affairs.marriage"].values():
        for person in (row["id_no"], row["spouse_id_no"]):
            newest[person] = max(
                newest.get(person, (row["updated_at"], "")), (row["updated_at"], row["marital_status"])
            )
    insured = {r["id_no"] for r in tables["human_resources.social_insurance"].values() if r["status"] == "1"}
    kept = ("id_no", "name", "gender", "birth_date", "division")
    return {
        key: {name: row[name] for name in kept}
        | {"marital_status": newest.get(row["id_no"], (None, "90"))[1], "insured": row["id_no"] in insured}
        for key, row in tables["public_security.resident"].items()
    }


def _legal_persons(tables: dict[str, Table]) -> Table:
    kinds = {
        "market_regulation.enterprise": "企业",
        "education.school": "学校",
        "health.institution": "医疗机构",
    }
    return {
        (row["uscc"],): {"uscc": row["uscc"], "name": row["name"], "kind": kind, "division": row["division"]}
        for dataset, kind in kinds.items()
        for row in tables[dataset].values()
    }


def _grouped(table: Table, *names: str) -> Groups:
    groups: Groups = defaultdict(list)
    for row in table.values():
        groups[tuple(row[name] for name in names)].append(row)
    return groups


def _vitality(tables: dict[str, Table]) -> Table:
    staff = _grouped(tables["human_resources.social_insurance"], "employer")
    enterprises = tables["market_regulation.enterprise"]
    newest = max(row["established_on"] for row in enterprises.values())
    since = date(newest.year - 1, newest.month, newest.day) if newest.day < 29 else newest - timedelta(365)
    return {
        key: {
            "division": key[0],
            "industry": key[1],
            "in_operation": sum(row["status"] == "1" for row in rows),
            "new_in_a_year": sum(row["established_on"] > since for row in rows),
            "registered_capital": sum((row["registered_capital"] for row in rows), Decimal()),
            "insured": sum(
                person["status"] == "1" for row in rows for person in staff.get((row["uscc"],), ())
            ),
        }
        for key, rows in _grouped(enterprises, "division", "industry").items()
        if key[1] is not None
    }


def _districts(tables: dict[str, Table], population: Table) -> Table:
    names = {
        "market_regulation.enterprise": "enterprises",
        "education.school": "schools",
        "health.institution": "beds",
        "government_services.work_order": "work_orders",
        "ecology.air_quality": "pm25",
    }
    of = {name: _grouped(tables[dataset], "division") for dataset, name in names.items()}

    def rows(name: str, key: Key) -> list[dict[str, Any]]:
        return of[name].get(key, [])

    return {
        key: {
            "division": key[0],
            "residents": len(people),
            "insured": sum(row["insured"] for row in people),
            "enterprises": len(rows("enterprises", key)),
            "schools": len(rows("schools", key)),
            "students": sum(row["students"] for row in rows("schools", key)),
            "beds": sum(row["beds"] for row in rows("beds", key)),
            "work_orders": len(rows("work_orders", key)),
            "pm25": fmean(row["pm25"] for row in rows("pm25", key) if row["pm25"] is not None),
        }
        for key, people in _grouped(population, "division").items()
    }
