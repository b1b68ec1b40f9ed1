"""What is imported while a source is waited for, and what is not."""

from __future__ import annotations

import atexit
import gc
import sys
import threading
from importlib import import_module
from pathlib import Path

import pytest

from pipelines.loading import meanwhile, seldom_collected
from tests.waiting import ran

SAYS_WHERE = "import threading\nTHREAD = threading.current_thread().name\n"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that says which thread it was imported in."""
    (tmp_path / "loaded_meanwhile.py").write_text(SAYS_WHERE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "loaded_meanwhile", raising=False)
    return "loaded_meanwhile"


def loading() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "loading"]


def test_a_module_is_imported_beside_a_block_that_takes_longer(module: str) -> None:
    with meanwhile(module, moment=0):
        for thread in loading():
            thread.join(timeout=60)
        assert sys.modules[module].THREAD == "loading"


def test_nothing_is_imported_where_the_block_is_over_at_once(module: str) -> None:
    with meanwhile(module, moment=60):
        begun = loading()
    for thread in begun:
        thread.join(timeout=60)
    assert len(begun) == 1
    assert module not in sys.modules


def test_what_is_imported_already_is_let_be(module: str) -> None:
    import_module(module)
    with meanwhile(module, moment=0):
        assert loading() == []


def test_what_cannot_be_imported_is_told_to_whoever_imports_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_meanwhile.py").write_text("raise RuntimeError('broken')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with meanwhile("broken_meanwhile", moment=0):
        for thread in loading():
            thread.join(timeout=60)
    with pytest.raises(RuntimeError, match="broken"):
        import_module("broken_meanwhile")


def test_a_process_of_ours_looks_seldom_and_not_at_its_end() -> None:
    """The collector's thresholds, and what it would go through when the process ends."""
    code = (
        "import atexit, gc\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"  # called after what is registered later
        "from pipelines.loading import seldom_collected\n"
        "seldom_collected()\n"
        "print(gc.isenabled(), gc.get_threshold(), gc.get_freeze_count())"
    )
    done = ran([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True (20000, 20, 20) 0", "True"]


def test_libraries_are_told_before_they_are_loaded() -> None:
    """They read the environment once, and keep what somebody has set there."""
    code = (
        "import os, sys\n"
        "os.environ['OPENBLAS_NUM_THREADS'] = '3'\n"
        "from pipelines.loading import seldom_collected\n"
        "seldom_collected()\n"
        "print({'numpy', 'pyarrow'} & sys.modules.keys())\n"
        "print(os.environ['OPENBLAS_NUM_THREADS'], os.environ['MIMALLOC_PURGE_DELAY'])"
    )
    done = ran([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["set()", "3 1000"]


def test_a_collection_is_loaded_without_what_only_other_stages_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XUANWU_HOME", str(tmp_path))
    seldom = {
        "pyiceberg",
        "rjieba",
        "great_expectations",
        "pyspark",
        "pipelines.masks",
        "python_calamine",
        "charset_normalizer",
    }
    code = (
        "import sys, pipelines.stages, pipelines.collect, pipelines.sources.file, pipelines.sources.database\n"
        "from pipelines.context import open_context\n"
        "open_context()\n"
        f"print(*{seldom} & sys.modules.keys())"
    )
    told = ran([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "\n"


@pytest.mark.parametrize(("version", "freezes"), [((3, 13, 9), [gc.freeze]), ((3, 14, 0), [])])
def test_what_must_be_taken_down_is_not_frozen(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], freezes: list[object]
) -> None:
    """From Python 3.14 on DuckDB would abort the process at its end."""
    registered: list[object] = []
    monkeypatch.setattr(gc, "set_threshold", lambda *_: None)
    with monkeypatch.context() as patch:
        patch.setattr(atexit, "register", registered.append)
        patch.setattr(sys, "version_info", version)
        seldom_collected()
    assert registered == freezes
