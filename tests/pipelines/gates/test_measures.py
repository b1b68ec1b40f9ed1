"""k, l and t over random tables: pycanon is the oracle; what fails is what the measures say."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import duckdb
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from pycanon import anonymity

from pipelines.gates import measures
from pipelines.gates.limits import Limits

QUASI = ["a", "b"]
LIMITS = Limits(
    release="public",
    of="greatest",
    context=1.0,
    below=0.05,
    k=3,
    l=2,
    t=0.4,
    suppress="rows",
    suppress_up_to=0.05,
    generalise=(),
    quasi=("a", "b"),
    sensitive=("disease", "income"),
    ordered=("income",),
    tokens=(),
)
ROW = st.tuples(st.sampled_from("xyz"), st.sampled_from("pq"), st.sampled_from("ABCD"), st.integers(-3, 12))
TABLE = st.lists(ROW, min_size=2, max_size=80).filter(lambda rows: len({row[3] for row in rows}) > 1)


def units(frame: pd.DataFrame) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.register("frame", frame)
    connection.execute(
        "CREATE VIEW units AS SELECT hash(a, b) AS class, disease AS s0, income AS s1, count(*) AS size "
        "FROM frame GROUP BY ALL"
    )
    return connection


def one(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    return connection.execute(sql).fetchall()[0][0]


@given_settings(max_examples=60)
@given(TABLE)
def test_l_and_t_are_those_of_pycanon(rows: list[tuple[str, str, str, int]]) -> None:
    frame = pd.DataFrame(rows, columns=[*QUASI, *LIMITS.sensitive])
    with units(frame) as connection, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        k = one(connection, "SELECT min(size) FROM (SELECT sum(size) AS size FROM units GROUP BY class)")
        assert k == anonymity.k_anonymity(frame, QUASI)
        for n, name in enumerate(LIMITS.sensitive):
            assert one(connection, measures.diversity("units", n)) == anonymity.l_diversity(
                frame, QUASI, [name]
            )
            found = one(
                connection, f"SELECT max(distance) FROM ({measures.distance('units', n, LIMITS)}) AS far"
            )
            assert found == pytest.approx(anonymity.t_closeness(frame, QUASI, [name]), abs=1e-9)


@given_settings(max_examples=40)
@given(TABLE)
def test_a_class_fails_by_its_size_its_diversity_or_its_distance(rows: list[tuple[Any, ...]]) -> None:
    frame = pd.DataFrame(rows, columns=[*QUASI, *LIMITS.sensitive])
    with units(frame) as connection:
        bad = connection.execute(measures.failing("units", LIMITS)).fetchall()
        classes = connection.execute("SELECT DISTINCT a, b, hash(a, b) FROM frame").fetchall()
    failing = {(a, b) for a, b, cls in classes if (cls,) in bad}
    for cls, part in frame.groupby(QUASI):
        few = len(part) < 3 or min(part.disease.nunique(), part.income.nunique()) < 2
        assert few <= (cls in failing)
        if not few:
            assert (cls in failing) == (_far(frame, part) > LIMITS.t + 1e-9)


def _far(frame: pd.DataFrame, part: pd.DataFrame) -> float:
    """The greater of both distances, in plain pandas."""
    shares = [each.disease.value_counts(normalize=True) for each in (part, frame)]
    equal = float((shares[0].reindex(shares[1].index, fill_value=0) - shares[1]).abs().sum() / 2)
    values = sorted(frame.income.unique())
    below = [
        each.income.value_counts(normalize=True).reindex(values, fill_value=0).cumsum()
        for each in (part, frame)
    ]
    return max(equal, float((below[0] - below[1]).abs().sum() / (len(values) - 1)))


def test_empty_values_are_values_and_no_limit_is_no_limit() -> None:
    rows = [("x", "p", disease, income) for disease, income in (("A", 1), (None, None), ("", 2), ("A", 1))]
    frame = pd.DataFrame(rows, columns=[*QUASI, *LIMITS.sensitive])
    with units(frame) as connection:
        assert one(connection, measures.diversity("units", 0)) == 3
        assert connection.execute(measures.failing("units", replace(LIMITS, t=1.0))).fetchall() == []
        assert (
            one(connection, f"SELECT max(distance) FROM ({measures.distance('units', 1, LIMITS)}) AS far")
            == 0
        )
