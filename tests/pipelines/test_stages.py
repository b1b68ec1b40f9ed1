"""The way of a batch: zones published abreast, and what the failure of the one leaves of the other."""

from __future__ import annotations

import logging
import threading
import traceback
from typing import Any

import pytest

from lake.records import Record
from pipelines import cli, stages
from pipelines.stages import run_batch
from schemas.errors import CommitConflict, LakeError, LeakFound, MaskError
from tests.pipelines.badinput.town import KEY, Town, batch_of, csv_of, rows


@pytest.fixture
def town(town: Town) -> Town:
    town.leave("01", csv_of(rows(1)))
    return town


def published(
    town: Town, monkeypatch: pytest.MonkeyPatch, before: Any, given: list[str] | None = None
) -> list[str]:
    """The parts in the order of their records; `before` is called when each is begun, in its thread. They are `given`
    one by one too."""
    real, given = stages.run_stage, [] if given is None else given

    def noted(ctx: Any, stage: Any, batch: Any, part: str = "") -> Record:
        if stage == "publish":
            before(part)
        return real(ctx, stage, batch, part)

    monkeypatch.setattr(stages, "run_stage", noted)
    given.extend(part for stage, part, _ in run_batch(town.ctx, batch_of(1)) if stage == "publish")
    return given


def test_the_zones_of_a_little_batch_are_published_abreast(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The share zone in the thread of whoever runs the batch."""
    both, threads = threading.Barrier(2), {}

    def begun(part: str) -> None:
        both.wait(timeout=60)
        threads[part] = threading.current_thread()

    assert published(town, monkeypatch, begun) == ["share/default", "open/open"]
    assert threads["share/default"] is threading.current_thread() is not threads["open/open"]


@pytest.mark.parametrize("why", ["one thread", "much landed"])
def test_with_one_thread_or_of_much_they_are_published_one_after_the_other(
    town: Town, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    if why == "one thread":
        town.settings = town.settings.model_copy(update={"threads": 1})
    else:
        monkeypatch.setattr(stages, "LITTLE", len(csv_of(rows(1))) - 1)
    threads: list[threading.Thread] = []
    parts = published(town, monkeypatch, lambda _: threads.append(threading.current_thread()))
    assert parts == ["share/default", "open/open"]
    assert set(threads) == {threading.current_thread()} and len(threads) == 2


def test_where_one_fails_the_other_that_is_under_way_is_finished(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2)

    def fails(part: str) -> None:
        both.wait(timeout=60)
        if part == "share/default":
            raise LeakFound("a leak")

    given: list[str] = []
    with pytest.raises(LeakFound, match="a leak") as caught:
        published(town, monkeypatch, fails, given)
    assert given == ["open/open"] and not hasattr(caught.value, "__notes__")
    assert town.ctx.tables.current_snapshot(("open", "police__person")) is not None
    assert town.ctx.tables.current_snapshot(("share", "police__person__default")) is None
    monkeypatch.undo()
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    assert [part for _, part, _ in run_batch(town.ctx, batch_of(1), "publish")] == [
        "share/default",
        "open/open",
    ]


@pytest.mark.parametrize(
    ("second", "told"), [(MaskError("no key"), "no key"), (ValueError("张秘密"), "ValueError")]
)
def test_where_both_fail_the_first_zones_error_notes_the_second(
    town: Town,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    second: Exception,
    told: str,
) -> None:
    """Whichever fails sooner; of an error that is not ours its kind."""
    opened = threading.Event()

    def fails(part: str) -> None:
        if part == "open/open":
            opened.set()
            raise second
        opened.wait(timeout=60)
        raise LeakFound("a leak")

    with pytest.raises(LeakFound, match="a leak") as caught:
        published(town, monkeypatch, fails)
    assert caught.value.__notes__ == [f"publish open/open failed too: {told}"]
    assert f"publish open/open failed too: {told}" in caplog.text and "张秘密" not in caplog.text


def test_the_log_tells_a_stages_rows(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, stages.__name__):
        town.run(1)
    said = {each.getMessage().partition(": ")[::2] for each in caplog.records if each.name == stages.__name__}
    batch = f"police.person {batch_of(1).id}"
    assert (f"{batch} standardise", "rows in 20  rows out 20  quarantined 0  corrected 0") in said
    assert (f"{batch} publish open/open", "rows in 20  rows out 20  suppressed 0  outside 0") in said
    assert len(said) == 6


def test_who_lost_a_race_is_told_the_command_to_go_on(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    real = stages._step

    def late(ctx: Any, entry: Any, stage: Any, *rest: Any) -> Record:
        if stage == "publish":
            raise CommitConflict("the table has moved on since the plan was made", next_step="run it again")
        return real(ctx, entry, stage, *rest)

    monkeypatch.setattr(stages, "_step", late)
    with pytest.raises(CommitConflict) as caught:
        town.run(1)
    command = f"xuanwu run police.person --batch {batch_of(1).id} --from publish"
    assert caught.value.next_step == command
    (message, *_) = [each.message for each in town.ctx.ledger.runs() if each.state == "failed"]
    assert message.endswith(command)


def test_the_command_line_tells_the_second_error_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        error = LeakFound("a leak")
        error.add_note("publish open/open failed too: no key")
        raise error

    monkeypatch.setattr(cli, "app", fails)
    monkeypatch.setattr(cli, "seldom_collected", lambda: None)
    monkeypatch.setattr(cli.os, "umask", lambda _: 0)
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err == "error: a leak\npublish open/open failed too: no key\n"


def test_what_a_library_says_of_a_refusal_without_a_number_is_not_told(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise OSError("Conversion Error: Could not convert string '张秘密'")

    monkeypatch.setattr(stages, "_taken", refused)
    with pytest.raises(LakeError, match="the system refused: OSError") as caught:
        list(run_batch(town.ctx, batch_of(1)))
    assert "张秘密" not in "".join(traceback.format_exception(caught.value))
