"""The search of coarser masks, the suppression and the comparison with an earlier release, on random tables: each against
an oracle that tries everything, in plain Python; and pycanon on what is left."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from pycanon import anonymity

from pipelines.gates import cells, earlier
from pipelines.gates.classes import CLASS, Release
from pipelines.gates.forms import Shape
from pipelines.gates.lattice import Lattice
from schemas.model import Field, Generalise, Keep
from tests.pipelines.gates.test_measures import LIMITS, one

Row = tuple[str, int, str]
SCHEMA = pa.schema([("place", pa.string()), ("age", pa.int64()), ("ill", pa.string())])
OF_ROWS = replace(LIMITS, quasi=("place", "age"), sensitive=("ill",), ordered=())
ROW = st.tuples(
    st.sampled_from(["320102", "320104", "320505", "330106"]), st.integers(1, 8), st.sampled_from("ABC")
)
ROWS = st.lists(ROW, min_size=1, max_size=60)


def release(connection: duckdb.DuckDBPyConnection, rows: Sequence[Row], **limits: Any) -> Release:
    made = Release(connection, SCHEMA, replace(OF_ROWS, **limits), ())
    columns = list(zip(*rows, strict=True)) if rows else [[], [], []]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, SCHEMA.types, strict=True)]
    made.load([pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)])
    return made


def field(name: str, kind: str, **more: Any) -> Field:
    return Field.model_validate(
        {"name": name, "title": {"zh": "-", "en": "-"}, "grade": 1, "type": kind, **more}
    )


SHAPES = {
    "place": Shape(field("place", "string", ladder=["district", "city", "province"]), Keep(), quasi=True),
    "age": Shape(field("age", "integer", ladder=[[3, 5, 7], [5]]), Keep(), quasi=True),
}


# ── what fails is taken out, and no more ──────────────────────────────────────────────────────────────────


def fails(part: Sequence[Row], whole: Sequence[Row], k: int, least: int, t: float) -> bool:
    ill, all_ill = (Counter(row[2] for row in rows) for rows in (part, whole))
    far = sum(abs(ill[value] / len(part) - count / len(whole)) for value, count in all_ill.items()) / 2
    return len(part) < k or len(ill) < least or far > t + 1e-9


def staying(rows: Sequence[Row], k: int, least: int, t: float) -> list[int]:
    """Places left when all classes that fail go, and go again since the whole is another then."""
    left = list(range(len(rows)))
    while True:
        by: dict[Any, list[int]] = {}
        for place in left:
            by.setdefault(rows[place][:2], []).append(place)
        whole = [rows[place] for place in left]
        bad = {p for part in by.values() if fails([rows[p] for p in part], whole, k, least, t) for p in part}
        if not bad:
            return left
        left = [place for place in left if place not in bad]


@given_settings(max_examples=25)
@given(ROWS, st.integers(1, 4), st.integers(1, 2), st.sampled_from([0.3, 0.5, 1.0]))
def test_suppression_is_that_of_the_oracle_and_pycanon_finds_nothing_below(
    rows: list[Row], k: int, least: int, t: float
) -> None:
    with duckdb.connect() as connection:
        made = release(connection, rows, k=k, l=least, t=t)
        made.take_out_failing()
        gone, left = made.gone().tolist(), made.measure()
    stay = staying(rows, k, least, t)
    assert sorted(set(range(len(rows))) - set(gone)) == stay
    assert left.rows + len(gone) == made.rows == len(rows)  # the balance of the publication
    frame = pd.DataFrame([rows[place] for place in stay], columns=SCHEMA.names)
    if len(frame.ill.unique()) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert left.k == anonymity.k_anonymity(frame, ["place", "age"]) >= k
            assert left.l == anonymity.l_diversity(frame, ["place", "age"], ["ill"]) >= least
            assert left.t == pytest.approx(anonymity.t_closeness(frame, ["place", "age"], ["ill"]))
            assert float(left.t or 0) <= t + 1e-9


# ── the lattice against everything ────────────────────────────────────────────────────────────────────────

_PLACES: list[Callable[[str], str]] = [lambda p: p, lambda p: p[:4], lambda p: p[:2], lambda _: "*"]
_AGES: list[Callable[[int], Any]] = [
    lambda a: a,
    lambda a: sum(a >= bound for bound in (3, 5, 7)),
    lambda a: a >= 5,
    lambda _: "*",
]


def entropy(values: Sequence[Any]) -> float:
    counts = Counter(values)
    return -sum(n / len(values) * math.log2(n / len(values)) for n in counts.values())


def oracle(rows: Sequence[Row], most: int, k: int, least: int) -> dict[tuple[int, int], float]:
    """What every combination that does keeps."""
    found = {}
    columns = [[row[0] for row in rows], [row[1] for row in rows]]
    whole = [entropy(column) for column in columns]
    for height in product(range(len(_PLACES)), range(len(_AGES))):
        coarse = [(str(_PLACES[height[0]](r[0])), _AGES[height[1]](r[1]), r[2]) for r in rows]
        by: dict[Any, list[Any]] = {}
        for row in coarse:
            by.setdefault(row[:2], []).append(row)
        out = sum(len(part) for part in by.values() if fails(part, coarse, k, least, 1.0))
        kept = [
            entropy([row[n] for row in coarse]) / whole[n] if whole[n] else 1.0 for n in range(len(columns))
        ]
        if out <= most:
            found[height] = sum(kept) / 2 * (1 - out / len(rows))
    return found


@given_settings(max_examples=25)
@given(ROWS, st.integers(1, 6), st.integers(1, 2), st.integers(0, 10))
def test_the_search_finds_what_trying_everything_finds(
    rows: list[Row], k: int, least: int, most: int
) -> None:
    with duckdb.connect() as connection:
        made = release(connection, rows, k=k, l=least, t=1.0)
        made.count_combinations()
        lattice = Lattice(connection, SHAPES, made.limits)
        assert [len(rungs) for rungs in lattice.ladders.values()] == [len(_PLACES) + 1, len(_AGES)]
        proposal = lattice.search(most)
    best = oracle(rows, most, k, least)
    if proposal is None:
        assert not best
        return
    assert proposal.kept == pytest.approx(max(best.values()))
    place, age = proposal.height
    assert best[max(0, place - 1), age] == pytest.approx(
        proposal.kept
    )  # the first rung but one is the district as it is


def test_the_ladder_of_the_oracle_is_the_lattices() -> None:
    """The district of a division code of six digits is itself."""
    with duckdb.connect() as connection:
        made = release(connection, [("320102", 3, "A"), ("330106", 8, "B")])
        made.count_combinations()
        ladders = Lattice(connection, SHAPES, made.limits).ladders
        for name, values in (("place", ["320102", "330106"]), ("age", [3, 8])):
            for rung in ladders[name][:-1]:
                shown = connection.execute(f"SELECT {rung.sql} FROM counted ORDER BY {name}").fetchall()
                assert len({row[0] for row in shown}) == len(values)
        assert isinstance(ladders["age"][1].mask, Generalise)


# ── cells ─────────────────────────────────────────────────────────────────────────────────────────────────


@given_settings(max_examples=25)
@given(ROWS, st.integers(2, 5))
def test_emptied_cells_leave_no_class_below_and_no_other_value_changes(rows: list[Row], k: int) -> None:
    with duckdb.connect() as connection:
        made = release(connection, rows, k=k, l=1, t=1.0)
        small = made.small()
        cells.empty(made)
        made.take_out_failing()
        gone, emptied, touched = set(made.gone().tolist()), cells.places(made), cells.rows(made)
        sizes = one(
            connection, f"SELECT coalesce(min(n), {k}) FROM (SELECT count(*) AS n FROM kept GROUP BY {CLASS})"
        )
    shown = [list(row) for row in rows]
    for name, places in emptied.items():
        for place in places.tolist():
            shown[place][SCHEMA.names.index(name)] = None
    left = [tuple(row) for place, row in enumerate(shown) if place not in gone]
    assert min(Counter(row[:2] for row in left).values(), default=k) >= k and sizes >= k
    assert len(gone) + touched <= small  # only rows of small classes are touched
    assert all(
        new in (old, None)
        for row, was in zip(shown, rows, strict=True)
        for new, old in zip(row, was, strict=True)
    )


# ── differencing ──────────────────────────────────────────────────────────────────────────────────────────


def held(
    connection: duckdb.DuckDBPyConnection, made: Release, before: Sequence[Sequence[Row]]
) -> earlier.Earlier:
    """The releases before, as `earlier.prepare` lays them: digest, class, release, how many from it on."""
    digest, class_ = "hash(place, age, ill)", "hash(place, age)"
    connection.execute(
        "CREATE OR REPLACE TABLE old (place VARCHAR, age BIGINT, ill VARCHAR, release BIGINT, times BIGINT)"
    )
    every = sorted({row for rows in before for row in rows})
    last: Counter[Row] = Counter()
    for number, rows in enumerate(before, 1):
        now = Counter(rows)
        for row in every:
            if now[row] != last[row]:
                connection.execute("INSERT INTO old VALUES (?, ?, ?, ?, ?)", [*row, number, now[row]])
        last = now
    connection.execute(
        f"CREATE OR REPLACE TABLE held0 AS SELECT {digest} AS digest, {class_} AS class, release, times FROM old"
    )
    return earlier.Earlier(0, digest, class_)


@given_settings(max_examples=25)
@given(st.lists(ROWS, min_size=1, max_size=3), ROWS, st.integers(2, 4))
@example([[("320102", 1, "A")], [("320102", 1, "A"), ("320102", 2, "A")]], [("320102", 1, "A")], 2)
def test_no_difference_of_two_releases_is_small(before: list[list[Row]], now: list[Row], k: int) -> None:
    """Whatever was released: of any class the rows that are new since any release are none or k; those gone are none, k,
    or counted as departed."""
    with duckdb.connect() as connection:
        made = release(connection, now, k=k, l=1, t=1.0)
        against = held(connection, made, before)
        out = -1
        while out != made.out():
            out = made.out()
            made.take_out_failing()
            earlier.wait(made, against)
            if out == made.out():
                earlier.hide(made, against, "secret")
        gone, departed = set(made.gone().tolist()), earlier.departed(made, against)
    shown = Counter(row for place, row in enumerate(now) if place not in gone)
    worst = 0
    for rows in before:
        was = Counter(rows)
        came, went = Counter[Any](), Counter[Any]()
        for row, times in (shown - was).items():
            came[row[:2]] += times
        for row, times in (was - shown).items():
            went[row[:2]] += times
        assert all(size >= k for size in came.values())
        worst = max(worst, sum(size for size in went.values() if size < k))
    assert worst == departed
    by_class = Counter[Any]()
    for row, times in shown.items():
        by_class[row[:2]] += times
    assert min(by_class.values(), default=k) >= k


def test_which_rows_hide_the_one_who_left_only_the_secret_tells() -> None:
    """And the same ones each time: those who are gone are not what two releases both lack."""
    before = [("320102", 1, f"{number}") for number in range(130)]

    def hidden(secret: str) -> list[int]:
        with duckdb.connect() as connection:
            made = release(connection, before[1:], k=21, l=1, t=1.0)
            earlier.hide(made, held(connection, made, [before]), secret)
            return made.gone().tolist()

    found = [hidden(secret) for secret in ("one", "one", "another", "third")]
    assert found[0] == found[1]
    assert [len(each) for each in found] == [20] * 4
    assert len(set(map(tuple, found))) == 3
