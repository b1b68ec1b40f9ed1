"""Loading stays light: a DAG file loads the catalogue, and must not pay for Arrow or DuckDB's friends."""

from __future__ import annotations

import random
import sys

import pyarrow as pa

from schemas.identifiers import is_uscc as is_uscc_column
from schemas.rules.shared import is_uscc
from tests.waiting import ran

HEAVY = {"pyarrow", "numpy", "pandas", "great_expectations", "pyiceberg", "airflow", "sqlalchemy"}


def test_loading_the_catalogue_imports_nothing_heavy() -> None:
    code = "import sys; from schemas.load import load_catalogue; load_catalogue(); print(*sys.modules)"
    loaded = ran([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert HEAVY & {name.split(".")[0] for name in loaded.split()} == set()


def test_one_credit_code_is_judged_as_a_column_of_them() -> None:
    rng = random.Random(329)
    letters = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    bodies = ["91320100MA" + "".join(rng.choices(letters, k=7)) for _ in range(300)]
    codes = [body + last for body in bodies for last in letters]
    codes += ["91A20100" + code[8:] for code in codes[:3000]] + [
        "",
        "1" * 17,
        "1" * 19,
        "91320100ma1xxxxxxx",
        "91320100OA1XXXXXXX",
        "９" * 18,
    ]
    assert [is_uscc(code) for code in codes] == is_uscc_column(pa.array(codes)).tolist()
    assert sum(map(is_uscc, codes)) > 200
