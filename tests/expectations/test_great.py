"""The door to Great Expectations: what it must do to the library, and that the library still needs it."""

from __future__ import annotations

import resource
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from expectations import great
from expectations.signatures import DIMENSIONS, FILE, LEFT_OUT, expectations, render
from tests.waiting import ran

ROOT = Path(__file__).parents[2]


def test_the_file_is_what_the_library_and_our_classes_say() -> None:
    assert FILE.read_text(encoding="utf-8") == render(), "run: python -m expectations.signatures"


def test_every_expectation_of_the_library_is_in_or_left_out_with_a_reason() -> None:
    known = set(great.list_registered_expectation_implementations()) - {""}
    assert known == set(expectations()) | set(LEFT_OUT)
    assert set(DIMENSIONS) == set(expectations())


def test_the_library_does_not_know_duckdb_by_itself() -> None:
    module = great.sqlalchemy_execution_engine
    assert module._PERSISTED_CONNECTION_DIALECTS[-1] == "duckdb"
    assert "duckdb" not in module._PERSISTED_CONNECTION_DIALECTS[:-1], (
        "the library has learnt it: drop accept_duckdb"
    )


def run_python(code: str, cwd: Path) -> str:
    done = ran(
        [sys.executable, "-c", code], cwd=cwd, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


OFFLINE = """
import socket
def refuse(*_, **__): raise AssertionError("a call home")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from tests.expectations.conftest import END, entry_of
import duckdb, logging
logging.basicConfig(level=logging.DEBUG)
logging.getLogger("matplotlib").setLevel(logging.WARNING)
from expectations.run import run
from expectations.known import Known
c = duckdb.connect()
c.execute("CREATE VIEW batch AS SELECT 'Canary77' AS a, 0 AS _seq, 'f' AS _file, 1 AS _row")
checks = [{"expect": "expect_column_values_to_be_in_set", "column": "a", "value_set": ["x"]}]
result, = run(entry_of({"a": "string"}, checks), c, Known(END))
assert result.failed == 1
"""


@pytest.mark.timeout(120)
def test_a_run_calls_nobody_writes_nothing_and_says_no_value(tmp_path: Path) -> None:
    said = run_python(OFFLINE, tmp_path)
    assert "Canary77" not in said
    assert list(tmp_path.rglob("*")) == []


def test_distributions_are_imported_where_one_is_asked_for() -> None:
    heavy = "'scipy.stats._continuous_distns' in sys.modules"
    run_python(
        f"import sys, expectations.great; assert not {heavy}; import scipy.stats; "
        f"assert scipy.stats.norm.cdf(0) == 0.5; assert {heavy}",
        ROOT,
    )


def test_the_light_modules_do_not_import_it() -> None:
    light = "import expectations.known, expectations.wording, expectations.sqltables, pipelines.check, sys"
    run_python(
        f"{light}; assert not [m for m in sys.modules if m.startswith('great_expectations')]",
        ROOT,
    )


def test_progress_bars_take_no_lock_between_processes() -> None:
    """From Python 3.14 on one would be told as leaked where Ctrl-C ends the process."""
    said = (
        "from expectations import great; from tqdm import tqdm; list(tqdm([1], disable=False)); "
        "from tqdm.std import TqdmDefaultWriteLock as lock; print(hasattr(lock, 'mp_lock'))"
    )
    ended = ran([sys.executable, "-c", said], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False"]


def test_pictures_are_loaded_when_somebody_draws(tmp_path: Path) -> None:
    heavy = "'altair.vegalite' in sys.modules"
    run_python(
        f"import sys, expectations.great; import altair; assert not {heavy}; "
        f"import altair.vegalite, altair as again; assert {heavy}; assert again.Chart is altair.Chart",
        tmp_path,
    )


CALLS = 1000


def faults() -> int:
    """Pages that the system gave this thread."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt


def most_faults() -> int:
    """Of a thousand calls from some depth of the stack, where most pages are taken for them."""

    def called() -> int:
        a = b = c = d = e = f = g = h = 1
        return a + b + c + d + e + f + g + h

    def at(depth: int) -> int:
        if depth:
            return at(depth - 1)
        before = faults()
        for _ in range(CALLS):
            called()
        return faults() - before

    return max(map(at, range(200)))


def test_calls_in_room_take_no_memory_of_the_system() -> None:
    """Where the first holds no more, Python keeps its pieces, and `in_room` is not needed."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(most_faults).result() >= CALLS
        assert pool.submit(great.in_room, most_faults).result() < CALLS / 10
