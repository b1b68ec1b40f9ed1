"""`python -m benchmarks.anonymity`: what our search of coarser masks and anjana's lose at equal k: the same persons,
hierarchies and share of rows that may be left out; the table of docs/privacy.md is written anew."""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from benchmarks.environments import ROOT, environment
from pipelines.gates.classes import Release
from pipelines.gates.forms import Shape
from pipelines.gates.lattice import Lattice
from pipelines.gates.limits import Limits
from schemas.model import Field, Keep
from schemas.sql import quote

K, PERCENT = 21, 5
PAGE = ROOT / "docs" / "privacy.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
DISTRICTS = (
    "320102",
    "320104",
    "320106",
    "320111",
    "320115",
    "320505",
    "320508",
    "320602",
    "330106",
    "330110",
    "340104",
)
QUASI = ("gender", "born", "district", "work")
LADDERS: dict[str, list[str]] = {
    "gender": [],
    "born": ["month", "quarter", "year", "decade"],
    "district": ["city", "province"],
    "work": [],
}
LIMITS = Limits(
    release="public",
    of="greatest",
    context=1.0,
    below=0.05,
    k=K,
    l=1,
    t=1.0,
    suppress="rows",
    suppress_up_to=PERCENT / 100,
    generalise=QUASI,
    quasi=QUASI,
    sensitive=(),
    ordered=(),
    tokens=(),
)


class Outcome(NamedTuple):
    """What is published of the quasi-identifiers, and how long that took."""

    rows: pa.Table
    seconds: float


def persons(count: int, seed: int = 1) -> pa.Table:
    """Invented persons; places and occupations are as uneven as they are."""
    random = np.random.default_rng(seed)
    days = (
        np.datetime64("1936-01-01") + np.sort(random.integers(0, 29_000, 400))[random.integers(0, 400, count)]
    )
    uneven = 1 / np.arange(1, len(DISTRICTS) + 1)
    return pa.table(
        {
            "gender": random.choice(["1", "2"], count),
            "born": pa.array(days.astype("datetime64[D]")),
            "district": random.choice(DISTRICTS, count, p=uneven / uneven.sum()),
            "work": random.choice(
                list("12345678"), count, p=np.array([40, 25, 15, 10, 5, 3, 1.5, 0.5]) / 100
            ),
        }
    )


def _shape(name: str) -> Shape:
    more = {"ladder": LADDERS[name]} if LADDERS[name] else {}
    kind = "date" if name == "born" else "string"
    said = {"name": name, "title": {"zh": "-", "en": "-"}, "grade": 1, "type": kind, **more}
    return Shape(Field.model_validate(said), Keep(), quasi=True)


SHAPES = {name: _shape(name) for name in QUASI}


def ours(table: pa.Table) -> Outcome:
    """As the disclosure gate does it: load, search, take out what fails."""
    with duckdb.connect() as connection:
        began = time.perf_counter()
        release = Release(connection, table.schema, LIMITS, ())
        release.load(table.to_batches())
        release.count_combinations()
        lattice = Lattice(connection, SHAPES, LIMITS)
        found = lattice.search(int(LIMITS.suppress_up_to * release.rows))
        if found is None:
            raise ValueError("no combination suffices")
        steps = zip(lattice.ladders.items(), found.height, strict=True)
        columns = ", ".join(f"{rungs[at].sql} AS {quote(name)}" for (name, rungs), at in steps)
        connection.execute(f"CREATE TABLE coarse AS SELECT {columns} FROM release")
        names = ", ".join(QUASI)
        shown = connection.execute(
            f"SELECT * FROM coarse QUALIFY count(*) OVER (PARTITION BY {names}) >= {K}"
        )
        rows = shown.to_arrow_table()
        return Outcome(rows, time.perf_counter() - began)


def hierarchies(table: pa.Table) -> dict[str, list[list[str]]]:
    """Our ladders as anjana wants them: for each level the values, beside those of the level below."""
    found = {}
    with duckdb.connect() as connection:
        connection.register("persons", table)
        connection.execute("CREATE TABLE counted AS SELECT *, 1 AS size FROM persons")
        for name, rungs in Lattice(connection, SHAPES, LIMITS).ladders.items():
            columns = ", ".join(f"({rung.sql})::VARCHAR" for rung in rungs)
            values = connection.execute(
                f"SELECT DISTINCT {quote(name)}, {columns} FROM counted ORDER BY 1"
            ).fetchall()
            found[name] = [[row[level] or "*" for row in values] for level in range(1, len(rungs) + 1)]
    return found


def anjana(table: pa.Table, python: Path) -> Outcome:
    with TemporaryDirectory(prefix="xuanwu-anonymity-") as folder:
        at = Path(folder)
        text = pa.table({name: pc.cast(table[name], pa.string()) for name in QUASI})
        csv.write_csv(text, at / "rows.csv")
        task = {
            "rows": str(at / "rows.csv"),
            "hierarchies": hierarchies(table),
            "k": K,
            "percent": PERCENT,
            "answer": str(at / "answer.csv"),
            "told": str(at / "told.json"),
        }
        (at / "task.json").write_text(json.dumps(task))
        program = [str(python), "-m", "benchmarks.contenders.anjana_k", str(at / "task.json")]
        subprocess.run(program, cwd=ROOT, check=True, capture_output=True)
        seconds = json.loads((at / "told.json").read_text())["seconds"]
        return Outcome(_text(at / "answer.csv"), seconds)


def _text(path: Path) -> pa.Table:
    kinds = csv.ConvertOptions(column_types=dict.fromkeys(QUASI, pa.string()), include_columns=list(QUASI))
    return csv.read_csv(path, convert_options=kinds)


# ── what was lost ─────────────────────────────────────────────────────────────────────────────────────────


class Loss(NamedTuple):
    """`kept` is the mean share of the columns' entropy times that of the rows (Gionis and Tassa 2009), which our search
    maximises; `classes` how many there are, `discernibility` the sum of their squares and of the rows left out, each
    times all (Bayardo and Agrawal 2005), over the square of the rows: a measure that neither search looks at."""

    k: int
    suppressed: float
    classes: int
    kept: float
    discernibility: float


def loss(table: pa.Table, outcome: Outcome) -> Loss:
    rows, left = table.num_rows, outcome.rows.num_rows
    sizes = outcome.rows.group_by(list(QUASI)).aggregate([([], "count_all")])["count_all"].to_numpy()
    shares = [_entropy(outcome.rows, name) / (_entropy(table, name) or 1.0) for name in QUASI]
    squares = float((sizes.astype(np.float64) ** 2).sum()) + float(rows - left) * rows
    return Loss(
        k=int(sizes.min()),
        suppressed=(rows - left) / rows,
        classes=len(sizes),
        kept=float(np.mean(shares)) * left / rows,
        discernibility=squares / rows**2,
    )


def _entropy(table: pa.Table, name: str) -> float:
    counts = np.array(table[name].value_counts().field("counts"), dtype=np.float64)
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


# ── the page ──────────────────────────────────────────────────────────────────────────────────────────────


def written(results: Mapping[int, Mapping[str, tuple[Loss, float]]]) -> Iterator[str]:
    yield "| rows | | k | rows left out | classes | information kept | discernibility (less is better) | seconds |"
    yield "|---:|---|---:|---:|---:|---:|---:|---:|"
    for count, each in results.items():
        for name, (lost, seconds) in each.items():
            yield (
                f"| {count:,} | {name} | {lost.k} | {lost.suppressed:.1%} | {lost.classes:,} | {lost.kept:.1%} | "
                f"{lost.discernibility:.4f} | {seconds:.1f} |"
            )


def measure(counts: Sequence[int]) -> dict[int, dict[str, tuple[Loss, float]]]:
    python = environment("anonymity", "requirements-anonymity.txt")
    found = {}
    for count in counts:
        table = persons(count)
        made = {"Xuanwu": ours(table), "anjana": anjana(table, python)}
        found[count] = {name: (loss(table, each), each.seconds) for name, each in made.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[5_000, 20_000, 100_000])
    results = measure(parser.parse_args().rows)
    before, rest = PAGE.read_text().split(BEGIN)
    table = "\n".join(written(results))
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}")
    print(table)


if __name__ == "__main__":
    main()
