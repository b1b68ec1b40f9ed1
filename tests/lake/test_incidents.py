"""The register of incidents: each step once, in the log, in an order that makes sense, and believed only as logged."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lake import incidents, registering, store
from lake.auditlog import AuditLog
from lake.incidents import About, Incident, Said, Step, incident, path_of, unlike
from lake.registering import record
from lake.signing import Signer, canonical
from lake.verify import Copy, verify
from schemas.errors import LakeError
from schemas.settings import Settings
from tests.conftest import NOW
from tests.waiting import together

HOUR = timedelta(hours=1)
WORDS = "开放区某数据集被大量下载"


class Killed(BaseException):
    """As a process ends by a kill: nothing catches it."""


@pytest.fixture
def log(settings: Settings) -> AuditLog:
    return AuditLog(settings, Signer(Ed25519PrivateKey.generate()), lambda: NOW)


def said(kind: str = "note", **more: Any) -> Said:
    about = {"level": "serious", "datasets": ("dept.data",)} if kind == "open" else {}
    return Said.model_validate(
        {"kind": kind, "by": "值班", "when": NOW - HOUR, "texts": {"what": WORDS}, **about, **more}
    )


def opened(settings: Settings, log: AuditLog, *steps: Said) -> Incident:
    """An incident with these steps after its opening."""
    number = record(settings, log, said("open"))[0].incident
    for each in steps:
        record(settings, log, each, number)
    return incident(settings.lake_root, number)


def wrong(log: AuditLog) -> list[str]:
    return [str(each) for each in verify(Copy(log.settings.lake_root), log.signer.trust)]


def entries(log: AuditLog) -> list[dict[str, Any]]:
    return [entry for _, entry in log.entries(0)]


# ── writing ───────────────────────────────────────────────────────────────────────────────────────────────


def test_steps_are_numbered_and_each_is_in_the_log_twice(settings: Settings, log: AuditLog) -> None:
    found = opened(settings, log, said(did="contained"), said("report", to="police", document="公2号"))
    assert [each.place for each in found.steps] == [1, 2, 3] and found.number == 1
    logged = [(each["kind"], each["phase"], each["place"]) for each in entries(log)]
    assert logged == [
        (kind, phase, place)
        for place, kind in enumerate(("open", "note", "report"), 1)
        for phase in ("attempt", "outcome")
    ]
    first = {
        name: entries(log)[0][name] for name in ("incident", "by", "level", "datasets", "record", "when")
    }
    assert first == {
        "incident": 1,
        "by": "值班",
        "level": "serious",
        "datasets": ["dept.data"],
        "record": "incidents/00001/00001.json",
        "when": "2026-03-05T11:00:00Z",
    }
    assert wrong(log) == []


def test_what_people_wrote_is_not_in_the_log_and_cannot_be_tried_against_it(
    settings: Settings, log: AuditLog
) -> None:
    (step,) = opened(settings, log).steps
    assert WORDS not in json.dumps(entries(log), ensure_ascii=False)
    (sealed,) = {each["texts"] for each in entries(log)}
    tried = {"at": step.at.isoformat(), "salt": "", "texts": {"what": WORDS}}
    assert sealed != hashlib.sha256(canonical(tried)).hexdigest()
    assert sealed == hashlib.sha256(canonical({**tried, "salt": step.salt})).hexdigest()
    other = AuditLog(settings, Signer(Ed25519PrivateKey.generate()), lambda: NOW)
    assert registering._step(other, said("open"), 1, 1, NOW).salt != step.salt


def test_without_the_log_nothing_is_written(
    settings: Settings, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr(AuditLog, "_append", full)
    with pytest.raises(LakeError, match="audit log cannot be written"):
        record(settings, log, said("open"))
    assert incidents.numbers(settings.lake_root) == []


def test_killed_before_the_record_nothing_counts_and_a_second_run_does_it(
    settings: Settings, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = opened(settings, log)

    def kill(uri: str, data: bytes, media: str = "") -> None:
        if incidents.FOLDER in uri:
            raise Killed
        write(uri, data, media)

    write = store.write_atomic
    with monkeypatch.context() as dying:
        dying.setattr(store, "write_atomic", kill)
        with pytest.raises(Killed):
            record(settings, log, said(did="contained"), 1)
    assert incident(settings.lake_root, 1) == found and wrong(log) == []
    step, new = record(settings, log, said(did="mended"), 1)
    assert (step.place, new) == (2, True)
    assert wrong(log) == [] and [each["phase"] for each in entries(log)[2:]] == [
        "attempt",
        "attempt",
        "outcome",
    ]


@contextmanager
def killed_before_the_outcome(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    append = AuditLog._append

    def kill(self: AuditLog, *each: Any) -> list[int]:
        if each[0]["phase"] == "outcome":
            raise Killed
        return append(self, *each)

    with monkeypatch.context() as dying, pytest.raises(Killed):
        dying.setattr(AuditLog, "_append", kill)
        yield


@pytest.mark.parametrize("now", [False, True])
def test_killed_before_the_outcome_a_second_run_finds_it_done_and_says_so_in_the_log(
    settings: Settings, log: AuditLog, monkeypatch: pytest.MonkeyPatch, now: bool
) -> None:
    opened(settings, log)
    with killed_before_the_outcome(monkeypatch):
        record(settings, log, said(), 1)
    assert wrong(log) == []
    again = said(when=NOW - HOUR / 2) if now else said()
    step, new = record(settings, log, again, 1, now=now)
    assert (step.place, step.when, new) == (2, NOW - HOUR, False)
    assert [each["phase"] for each in entries(log)[2:]] == ["attempt", "outcome"]
    assert record(settings, log, again, 1, now=now)[1] is False
    assert len(entries(log)) == 4, "and once is enough"
    assert wrong(log) == []
    Path(settings.lake_root, path_of(1, 2)).unlink()
    assert wrong(log) == ["incidents/00001/00002.json: a step of an incident is missing"]


def test_another_moment_is_another_step_where_the_moment_was_named(settings: Settings, log: AuditLog) -> None:
    opened(settings, log, said())
    assert record(settings, log, said(when=NOW), 1)[0].place == 3
    assert record(settings, log, said(when=NOW, texts={"what": "又见"}), 1)[0].place == 4


def test_an_incident_is_opened_once_until_something_follows(settings: Settings, log: AuditLog) -> None:
    first, new = record(settings, log, said("open"))
    again, newer = record(settings, log, said("open"))
    assert (first, new) == (again, True) and not newer
    assert record(settings, log, said("open", level="major"))[0].incident == 2
    record(settings, log, said(), 2)
    assert record(settings, log, said("open", level="major"))[0].incident == 3
    assert [each.number for each in incidents.incidents(settings.lake_root)] == [3, 2, 1]
    assert wrong(log) == []


def test_killed_in_the_opening_its_number_is_taken_by_the_next(
    settings: Settings, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(uri: str, *_: object) -> None:
        if incidents.FOLDER in uri:
            store.make_folder(uri.rpartition("/")[0])
            raise Killed
        write(uri, *_)  # type: ignore[arg-type]

    write = store.write_atomic
    with monkeypatch.context() as dying:
        dying.setattr(store, "write_atomic", kill)
        with pytest.raises(Killed):
            record(settings, log, said("open"))
    assert incidents.incidents(settings.lake_root) == []
    assert record(settings, log, said("open"))[0].incident == 1
    assert wrong(log) == []


def test_what_is_wrong_with_the_newest_keeps_nobody_from_opening_another(
    settings: Settings, log: AuditLog
) -> None:
    opened(settings, log)
    Path(settings.lake_root, path_of(1, 1)).write_text("{}")
    with pytest.raises(LakeError, match="cannot be read"):
        record(settings, log, said(), 1)
    with pytest.raises(LakeError, match="cannot be read"):
        incidents.incidents(settings.lake_root)
    assert record(settings, log, said("open"))[0].incident == 2
    found, damaged = incidents.readable(settings.lake_root)
    assert ([each.number for each in found], damaged) == ([2], [1])


def test_of_several_at_once_each_has_its_place(settings: Settings, log: AuditLog) -> None:
    opened(settings, log)
    gate = threading.Barrier(4, timeout=60)

    def at_once(number: int) -> None:
        gate.wait()
        record(settings, log, said(texts={"what": f"第{number}组"}), 1)
        record(settings, log, said("open", texts={"what": f"第{number}起"}))

    threads = [threading.Thread(target=at_once, args=(each,)) for each in range(4)]
    together(*threads)
    assert [each.place for each in incident(settings.lake_root, 1).steps] == [1, 2, 3, 4, 5]
    assert incidents.numbers(settings.lake_root) == [1, 2, 3, 4, 5]
    assert wrong(log) == []


def test_there_is_no_step_of_an_incident_that_is_not_there(settings: Settings, log: AuditLog) -> None:
    with pytest.raises(LakeError, match="there is no incident 1"):
        record(settings, log, said(), 1)
    assert entries(log) == []


def test_a_step_that_is_not_the_log_s_is_followed_by_none(settings: Settings, log: AuditLog) -> None:
    opened(settings, log, said())
    file = Path(settings.lake_root, path_of(1, 1))
    file.write_text(file.read_text("utf-8").replace("serious", "general"), "utf-8")
    before = len(entries(log))
    with pytest.raises(LakeError, match="not the one in the audit log"):
        record(settings, log, said("close"), 1)
    assert len(entries(log)) == before and not Path(settings.lake_root, path_of(1, 3)).exists()


# ── what an incident is ───────────────────────────────────────────────────────────────────────────────────


def test_what_it_concerns_and_how_grave_it_is_may_grow(settings: Settings, log: AuditLog) -> None:
    more = said(level="major", datasets=("dept.data", "dept.other"), accounts=("li",))
    found = opened(settings, log, more, said(risks=(3,)))
    assert found.about == About(("dept.data", "dept.other"), ("li",), (), (3,))
    assert (found.level, found.noticed, found.closed) == ("major", NOW - HOUR, None)
    assert About() | About() == About() and not About() and About(risks=(1,))


def test_closed_until_it_is_opened_again(settings: Settings, log: AuditLog) -> None:
    found = opened(settings, log, said("close"), said("report", to="police"))
    assert found.closed == found.steps[1]
    record(settings, log, said(reopens=True), 1)
    assert incident(settings.lake_root, 1).closed is None
    record(settings, log, said("close"), 1)
    assert incident(settings.lake_root, 1).closed is not None
    assert wrong(log) == []


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (said(), "it is closed"),
        (said("close", texts={"what": "再结"}), "it is closed"),
        (said(when=NOW + HOUR, reopens=True), "later than the moment"),
        (said("report", when=NOW - 2 * HOUR), "before the incident was noticed"),
    ],
)
def test_a_closed_one(settings: Settings, log: AuditLog, step: Said, why: str) -> None:
    opened(settings, log, said("close"))
    with pytest.raises(LakeError, match=why):
        record(settings, log, step, 1)
    assert len(entries(log)) == 4


def test_an_open_one_is_not_opened_again(settings: Settings, log: AuditLog) -> None:
    opened(settings, log)
    with pytest.raises(LakeError, match="it is open"):
        record(settings, log, said(reopens=True), 1)


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (said("open", level=""), "has no level"),
        (said("open", since=NOW), "before the incident was noticed"),
        (said("open", when=NOW + HOUR), "later than the moment"),
        (said(), "from its opening on"),
    ],
)
def test_an_opening(settings: Settings, log: AuditLog, first: Said, why: str) -> None:
    assert why in unlike([registering._step(log, first, 1, 1, NOW)])


def test_the_steps_of_two_incidents_are_not_one_s(log: AuditLog) -> None:
    steps = [registering._step(log, said("open"), 1, place, NOW) for place in (1, 2)]
    assert "from its opening on" in unlike(steps)
    assert "from its opening on" in unlike([steps[0].model_copy(update={"place": 2})])


# ── what verify finds ─────────────────────────────────────────────────────────────────────────────────────


def changed(file: Path, **fields: Any) -> None:
    step = Step.model_validate_json(file.read_bytes())
    file.write_bytes(incidents.encoded(step.model_copy(update=fields)))


@pytest.mark.parametrize(
    "fields",
    [
        {"texts": {"what": "无事"}},
        {"texts": {}},
        {"salt": "0" * 64},
        {"by": "别人"},
        {"at": datetime(2026, 3, 5, 13, tzinfo=UTC)},
        {"when": NOW},
        {"level": "general"},
        {"datasets": ()},
        {"entry": 1},
        {"incident": 2},
        {"place": 2},
    ],
)
def test_a_changed_step_is_found(settings: Settings, log: AuditLog, fields: dict[str, Any]) -> None:
    opened(settings, log)
    changed(Path(settings.lake_root, path_of(1, 1)), **fields)
    assert wrong(log) == [
        "incidents/00001/00001.json: the step of an incident is not the one in the audit log: it was changed"
    ]


def test_a_step_in_another_form_is_found(settings: Settings, log: AuditLog) -> None:
    opened(settings, log)
    file = Path(settings.lake_root, path_of(1, 1))
    file.write_bytes(file.read_bytes() + b"\n")
    assert len(wrong(log)) == 1
    file.write_bytes(b"{}")
    assert len(wrong(log)) == 1


def test_a_step_that_somebody_put_there_is_found(settings: Settings, log: AuditLog) -> None:
    opened(settings, log)
    first = Path(settings.lake_root, path_of(1, 1))
    Path(settings.lake_root, path_of(1, 2)).write_bytes(first.read_bytes())
    (found,) = wrong(log)
    assert found.startswith("incidents/00001/00002.json: the log does not hold this step")


@pytest.mark.parametrize("place", [1, 2])
def test_a_step_that_was_taken_away_is_found(settings: Settings, log: AuditLog, place: int) -> None:
    opened(settings, log, said())
    Path(settings.lake_root, path_of(1, place)).unlink()
    assert f"incidents/00001/0000{place}.json: a step of an incident is missing" in wrong(log)


def test_a_step_without_its_outcome_that_another_followed_must_be_there(
    settings: Settings, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_before_the_outcome(monkeypatch):
        record(settings, log, said("open"))
    record(settings, log, said(), 1)
    assert wrong(log) == []
    Path(settings.lake_root, path_of(1, 1)).unlink()
    assert "incidents/00001/00001.json: a step of an incident is missing" in wrong(log)


def test_a_step_that_whoever_has_the_key_wrote_against_the_rules_is_found(
    settings: Settings, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(settings, log, said("close"))
    monkeypatch.setattr(registering, "unlike", lambda _: "")
    record(settings, log, said(texts={"what": "再看"}), 1)
    (found,) = wrong(log)
    assert found.startswith("incident 1: it is closed")


@pytest.mark.parametrize("more", [{"by": "别人"}, {"when": NOW}, {}])
def test_a_step_that_whoever_has_the_key_wrote_anew_is_found(
    settings: Settings, log: AuditLog, more: dict[str, Any]
) -> None:
    (step,) = opened(settings, log).steps
    other = registering._step(log, said("open", texts={"what": "无事"}, **more), 1, 1, NOW)
    with log.turn() as append:
        registering._write(settings, append, other.model_copy(update={"at": step.at}))
    assert wrong(log) == ["incidents/00001/00001.json: the step was written anew after it counted"]


def test_an_erasure_makes_no_step_true_that_is_not_the_log_s(settings: Settings, log: AuditLog) -> None:
    opened(settings, log)
    changed(Path(settings.lake_root, path_of(1, 1)), by="别人")
    (forged,) = incident(settings.lake_root, 1).steps
    with pytest.raises(LakeError, match="not the one in the audit log"):
        registering.forget(settings, log, forged, {}, "20260305T1")


@pytest.mark.parametrize("changed", [{}, {"by": "别人"}])
def test_texts_are_taken_out_by_an_erasure_that_holds_and_nothing_else(
    settings: Settings, log: AuditLog, changed: dict[str, Any]
) -> None:
    opened(settings, log, said())
    step = incident(settings.lake_root, 1).steps[0]
    registering.forget(settings, log, step, {"what": "〔已删除〕"}, "20260305T1")
    if changed:
        with log.turn() as append:
            mine = incident(settings.lake_root, 1).steps[0].model_copy(update=changed)
            registering._write(settings, append, mine)
    no_erasure = "incidents/00001/00001.json: the erasure 20260305T1 has no certificate that holds"
    anew = "incidents/00001/00001.json: the step was written anew after it counted"
    assert wrong(log) == ([no_erasure, anew] if changed else [no_erasure])
    now = incident(settings.lake_root, 1).steps[0]
    assert (now.at, now.place, dict(now.texts)) == (step.at, 1, {"what": "〔已删除〕"})
    if not changed:
        assert record(settings, log, said(texts={"what": "另见"}), 1)[0].place == 3


@pytest.mark.parametrize("kind", ["risk", "request"])
def test_what_the_log_never_told_of_is_not_named(settings: Settings, log: AuditLog, kind: str) -> None:
    named = said(**{f"{kind}s": (7,)})
    opened(settings, log, named)
    assert wrong(log) == [
        f"incidents/00001/00002.json: it names the {kind} 7, of which the log holds nothing"
    ]
    log.append({"action": kind, kind: 7})
    assert wrong(log) == []


def test_a_changed_line_of_the_log_is_found(settings: Settings, log: AuditLog) -> None:
    opened(settings, log)
    line = Path(settings.lake_root, "proof/log/00000000.jsonl")
    line.write_bytes(line.read_bytes().replace(b'"level":"serious"', b'"level":"general"', 1))
    assert "the log was changed" in wrong(log)[0]
