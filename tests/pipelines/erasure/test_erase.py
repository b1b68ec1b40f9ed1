"""One person erased from a whole lake, history included: proved by search, certified, verified, and still gone later."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from exchange.accounts import make_token, open_account
from exchange.accounts import tokens as tokens_kept
from exchange.desk import Desk
from exchange.forgetting import ERASED
from exchange.objections import find, raise_objection, take
from exchange.people import Principal
from exchange.state import State
from lake import erasures, incidents, landing, store
from lake.certificates import FileProof, salted
from lake.erasures import Located, Search
from lake.incidents import Said
from lake.registering import record
from lake.signing import load_signer
from lake.verify import Copy, verify
from lake.zones import identifier
from pipelines.erasure.batches import Work
from pipelines.erasure.erase import Erased, erase, plan
from pipelines.erasure.proving import searched
from pipelines.erasure.subject import read_subject
from pipelines.erasure.traces import tokens_of
from pipelines.gates import absent
from pipelines.listing import build_site
from pipelines.proof.certifying import open_log
from schemas.errors import LakeError, MaskError, SettingsError
from schemas.settings import Settings
from tests.pipelines.erasure.town import HOSTS, KEY, Town, csv_of, person, subject, visits
from tests.waiting import ended_child

WHO, ASIDE = person(13), person(17)
"""ASIDE's visits do not convert: they are in quarantine."""


def wrong(town: Town) -> list[str]:
    sums = [str(each.sum) for each in town.ctx.ledger.sums() if not each.sum.holds]
    return [str(finding) for finding in verify(Copy(str(town.lake)))] + sums


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Two days, and before them one whose file was refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUANWU_KEY_1", KEY)
        town = Town(tmp_path_factory.mktemp("town"))
        town.people()
        for day in (1, 2):
            mention = (f"V{day}9999", person(40)[0], "病区0", "1", f"由{WHO[0]}陪同")
            town.leave(day, csv_of([*visits(day), mention]))
            town.run(day)
        folder = Path(
            store.join(str(town.lake), "landing", "health", "visit", "20260301T000000Z-00000000", "files")
        )
        folder.mkdir(parents=True)
        (folder / "00001-x.csv").write_text(f"a,{WHO[0]}")
        shutil.copytree(town.settings.home, town.root / "as-it-was")
        yield town


@pytest.fixture
def town(lived: Town) -> Town:
    """The same lake at the same place, as it was."""
    shutil.rmtree(lived.settings.home)
    shutil.copytree(lived.root / "as-it-was", lived.settings.home)
    lived.later(hours=1)
    return lived


def done(town: Town, who: tuple[str, str, str] = WHO) -> Erased:
    return erase(town.ctx, subject(who[0]), "X-1")


def test_nothing_is_left_anywhere_and_all_else_is(town: Town) -> None:
    tables = town.ctx.tables
    tokens = tokens_of(town.ctx, subject(WHO[0]))
    assert tokens and town.places(*tokens) >= {"share"}
    assert town.places(WHO[0]) >= {"landing", "standard", "curated"}
    assert town.places(WHO[1]) and town.places(WHO[2])
    before = {name: tables.row_count(identifier("curated", name)) for name in HOSTS}
    planned = {(place.zone, place.dataset): place.rows for place in plan(town.ctx, subject(WHO[0]))}
    told = done(town)
    assert town.places(WHO[0], WHO[1], WHO[2], *tokens) == set()
    gone = {"police.person": 1, "health.visit": 4, "base.register": 1, "base.ages": 1}
    after = {name: tables.row_count(identifier("curated", name)) for name in HOSTS}
    assert after == {name: before[name] - rows for name, rows in gone.items()}
    places = {(place.zone, place.dataset): place.rows for place in told.erasure.places}
    assert planned.items() <= places.items()
    assert places["landing", "health.visit"] == 4
    assert places["curated", "police.person"] == 1
    assert told.withdrawn == ()
    assert wrong(town) == []
    for dataset in HOSTS:
        share = identifier("share", dataset, "default")
        assert (
            len(list(tables.snapshots(share)))
            == len(list(tables.snapshots(identifier("curated", dataset))))
            == 1
        )
        assert tables.row_count(share) == after[dataset]


def test_the_public_site_is_built_anew_and_searched(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, told = tmp_path / "site", town.settings
    there = Settings(home=told.home, catalogue=told.catalogue, portal=str(site))
    monkeypatch.setattr(town, "settings", there)
    build_site(town.ctx)
    before = {str(file.relative_to(site)) for file in site.rglob("*.csv")}
    beside = site / "notes.txt"
    beside.write_text(WHO[0])
    with pytest.raises(LakeError, match=r"still finds the subject in 1 files: .*site/notes\.txt"):
        done(town)
    beside.unlink()
    done(town)
    after = {str(file.relative_to(site)) for file in site.rglob("*.csv")}
    assert after and before and not after & before, "releases with the person are gone"
    assert build_site(town.ctx)[2].written == 0


def test_the_leak_gate_s_memory_forgets_what_was_published_of_them(town: Town) -> None:
    kept = absent.place(town.settings, identifier("share", "health.visit", "default"))
    other, own = (duckdb.execute(f"SELECT hash('第{n}次就诊，无异常')").fetchone() for n in (14, 13))
    before = absent.load(kept)
    assert before and other and own
    assert {*other, *own} <= set(before.digests["digest"].to_pylist())
    done(town)
    after = absent.load(kept)
    assert after
    assert set(after.digests["digest"].to_pylist()) & {*other, *own} == {*other}


def test_a_row_in_quarantine_goes_from_its_original_too(town: Town) -> None:
    assert "quarantine" in town.places(ASIDE[0])
    told = done(town, ASIDE)
    places = {(place.zone, place.dataset): place.rows for place in told.erasure.places}
    assert places["quarantine", "health.visit"] == places["landing", "health.visit"] == 2
    assert town.places(*ASIDE) == set()
    town.run(2)
    assert wrong(town) == []


def test_replay_from_every_stage_balances_and_brings_nobody_back(town: Town) -> None:
    from pipelines.batches import newest_batch
    from pipelines.stages import run_batch

    done(town)
    ctx = town.ctx
    rows = ctx.tables.row_count(identifier("curated", "health.visit"))
    for batch in [each.batch for each in landing.history(town.settings, "health.visit")]:
        for stage in ("merge", "check", "standardise", "collect"):
            for _ in run_batch(town.ctx, batch, stage):
                pass
    for _ in run_batch(ctx, newest_batch(ctx, ctx.catalogue.entry("health.visit"), "publish"), "publish"):
        pass
    assert ctx.tables.row_count(identifier("curated", "health.visit")) == rows
    assert town.places(*WHO) == set()
    assert wrong(town) == []


def test_whoever_was_erased_does_not_come_back_until_it_is_lifted(town: Town) -> None:
    from pipelines.erasure.erase import lift

    told = done(town)
    town.leave(3, csv_of(visits(3)))
    town.run(3)
    (newest, *_) = landing.history(town.settings, "health.visit")
    assert (newest.rows, newest.erased, newest.files[0].received.rows) == (59, 1, 60)
    assert town.places(*WHO) == set()
    assert wrong(town) == []
    town.run(2)
    assert town.places(*WHO) == set(), "the file of day 2 is known, though its bytes are others now"
    with pytest.raises(LakeError, match="no such erasure in force"):
        lift(town.ctx, "20260101T000000000Z-00000000")
    lift(town.ctx, told.erasure.id)
    town.leave(4, csv_of(visits(4)))
    town.run(4, "police.person", "health.visit")
    assert {"landing", "curated"} <= town.places(WHO[0])
    assert wrong(town) == []


def test_without_the_key_nothing_is_collected_that_might_bring_somebody_back(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(town)
    monkeypatch.delenv("XUANWU_KEY_1")
    town.leave(3, csv_of(visits(3)))
    with pytest.raises(MaskError, match="no masking key"):
        town.run(3, "health.visit")


# ── the certificate ───────────────────────────────────────────────────────────────────────────────────────


def test_the_certificate_is_signed_and_holds_no_value(town: Town) -> None:
    told = done(town)
    path = town.lake / told.certificate
    erasure = erasures.decode(path.read_bytes(), load_signer(town.settings, lambda _: "").trust)
    assert erasure == told.erasure
    assert erasure.state == "completed" and erasure.search is not None
    assert erasure.search.found == erasure.search.unread == 0 < erasure.search.files
    assert {each.element for each in erasure.subject} == {"resident_id"}
    log = b"".join(each.read_bytes() for each in (town.lake / "proof" / "log").glob("*.jsonl"))
    assert log.count(b'"action":"erase"') == 2


def test_the_certificate_s_digests_of_originals_are_salted(town: Town) -> None:
    """What was erased from a file of few rows could be tried against plain ones."""
    before = {store.sha256_of(str(path)) for path in town.lake.glob("landing/*/*/*/files/*")}
    told = done(town)
    after = {store.sha256_of(str(path)) for path in town.lake.glob("landing/*/*/*/files/*")}
    said = (town.lake / told.certificate).read_text()
    assert before - after and after - before
    assert not [digest for digest in before | after if digest in said]
    for batch in told.erasure.batches:
        files = json.loads((town.lake / batch.manifest.path).read_bytes())["files"]
        now = {salted(file["salt"], file["sha256"]) for file in files}
        came = {salted(file["salt"], file["received"]["sha256"]) for file in files if file.get("received")}
        assert {file.after.salted for file in batch.files} <= now
        assert {file.before.salted for file in batch.files} <= came


def test_a_certificate_from_before_there_was_a_salt_holds(town: Town) -> None:
    """It has the plain digests of its originals."""
    made, signer = done(town).erasure, load_signer(town.settings, lambda _: "")
    files = [file for batch in made.batches for file in batch.files]
    plain = [Located(path=file.before.path, sha256="0" * 64, size=1, rows=2) for file in files]
    old = [erasures.ErasedFile(before=each, after=each, rows=1) for each in plain]
    batches = (made.batches[0].model_copy(update={"files": tuple(old)}),)
    data = erasures.encode(made.model_copy(update={"batches": batches}), signer)
    (said, *_) = json.loads(data)["erasure"]["batches"][0]["files"]
    assert said["before"] == FileProof(path=plain[0].path, sha256="0" * 64, size=1, rows=2).model_dump()
    assert erasures.decode(data, signer.trust).batches == batches


@pytest.mark.parametrize("change", ["original", "manifest", "certificate", "gone", "begun"])
def test_verify_holds_an_erased_original_to_its_certificate(town: Town, change: str) -> None:
    told = done(town)
    (batch, *_) = (each for each in told.erasure.batches if each.dataset == "health.visit")
    certificate = town.lake / told.certificate
    place = {
        "original": town.lake / batch.files[0].after.path,
        "manifest": town.lake / batch.manifest.path,
    }.get(change, certificate)
    place.chmod(0o600)
    if change == "gone":
        place.unlink()
    elif change == "begun":
        data = erasures.encode(
            told.erasure.model_copy(update={"state": "begun"}), load_signer(town.settings, lambda _: "")
        )
        place.write_bytes(data)
    else:
        data = place.read_bytes()
        place.write_bytes(data.replace(b"1", b"2", 1))
    assert any(place.name in finding or batch.batch in finding for finding in wrong(town))


def test_an_original_rewritten_without_a_certificate_is_noticed(town: Town) -> None:
    from pipelines.erasure.suppression import replaced

    entry = town.ctx.catalogue.entry("health.visit")
    (newest, *_) = landing.history(town.settings, "health.visit")
    replaced(town.ctx, entry, newest, {newest.files[0]: [5]})
    assert any(
        "manifest.json: the file is not the one that was certified" in finding for finding in wrong(town)
    )


# ── killed, and not alone ─────────────────────────────────────────────────────────────────────────────────

STEPS = ("write_atomic", "remove_file", "remove_tree", "atomic_parquet", "output")


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Run it in a process that is killed before its n-th change of a file; whether it came so far."""
    child = os.fork()
    if child == 0:
        count = 0

        def counted(function: Callable[..., object]) -> Callable[..., object]:
            def wrapped(*arguments: object, **named: object) -> object:
                nonlocal count
                count += 1
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **named)

            return wrapped

        for name in STEPS:
            setattr(store, name, counted(getattr(store, name)))
        try:
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(ended_child(child))


@pytest.mark.parametrize("step", [2, 9, 18, 31, 60, 90])
def test_killed_and_run_again_it_is_the_same_erasure(town: Town, step: int) -> None:
    ctx = town.ctx
    assert killed_at(step, lambda: erase(ctx, subject(WHO[0]), "X-1"))
    town.later(hours=1)
    told = erase(town.ctx, subject(WHO[0]), "X-1", beside_runs=True)
    assert town.places(*WHO) == set()
    assert [each.id for each in erasures.every(str(town.lake))] == [told.erasure.id]
    rows = {(place.zone, place.dataset): place.rows for place in told.erasure.places}
    assert rows["landing", "health.visit"] == 4
    assert rows["curated", "police.person"] == rows["curated", "base.register"] == 1
    assert not list((town.settings.home / "erasures").iterdir())
    assert wrong(town) == []
    assert town.places(*WHO) == set()


def test_it_wants_the_lake_for_itself(town: Town) -> None:
    (newest, *_) = landing.history(town.settings, "health.visit")
    attempt = town.ctx.ledger.begin(newest.batch, "check")
    with pytest.raises(LakeError, match=r"1 stages are at work: health\.visit check"):
        done(town)
    town.ctx.ledger.fail(attempt, "stopped")
    done(town)


def test_what_the_search_still_finds_is_not_certified(town: Town) -> None:
    left = town.settings.home / "notes.txt"
    left.write_text(f"记得删除 {WHO[0]}")
    with pytest.raises(LakeError, match=r"still finds the subject in 1 files: .*notes\.txt") as caught:
        done(town)
    assert WHO[0] not in str(caught.value)
    assert any("begun and not completed" in finding for finding in wrong(town))
    left.unlink()
    told = erase(town.ctx, subject(WHO[0]), "X-1")
    assert told.erasure.state == "completed"
    assert wrong(town) == []


# ── the exchange ──────────────────────────────────────────────────────────────────────────────────────────


def desk_of(town: Town) -> Desk:
    return Desk(State(town.settings), town.ctx.catalogue, open_log(town.ctx)[0], town.ctx.clock)


POLICE = Principal("wang", "police", frozenset({"requester"}))
HEALTH = Principal("li", "health", frozenset({"provider"}))


def objected(town: Town, wrong: str, rows: list[str]) -> int:
    said = {"dataset": "health.visit", "policy": "default", "wrong": wrong, "rows": rows}
    number = raise_objection(desk_of(town), POLICE, said, lambda *_: 7).number
    take(desk_of(town), HEALTH, number, "uphold", {"reason": wrong})
    return number


def test_what_people_wrote_of_them_in_the_exchange_goes_too(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = sorted(tokens_of(town.ctx, subject(WHO[0])))
    of_them = objected(town, f"{WHO[0][:6]} {WHO[0][6:]}的就诊费用有误", [tokens[0], "another-token"])
    of_another = objected(town, f"{ASIDE[0]}的就诊费用有误", ["another-token"])
    state, now = State(town.settings), town.ctx.clock()
    open_account(state, "wang", "police", ["requester"])
    make_token(state, "wang", f"核对{WHO[0]}", ["read"], now=now, lasts=timedelta(days=1))
    planned = {(each.zone, each.dataset): each.rows for each in plan(town.ctx, subject(WHO[0]))}
    assert (planned["exchange", "health.visit"], planned["exchange", "tokens"]) == (2, 1)
    with monkeypatch.context() as killed:
        killed.setattr(State, "scrub", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            done(town)
    told = done(town)
    places = {(each.zone, each.dataset): each.rows for each in told.erasure.places}
    assert (places["exchange", "health.visit"], places["exchange", "tokens"]) == (2, 1)
    assert town.places(*WHO, *tokens) == set()
    assert [each.note for each in tokens_kept(state)] == [ERASED]
    ours, others = (find(desk_of(town), POLICE, number) for number in (of_them, of_another))
    assert (ours.terms.wrong, ours.terms.rows) == (ERASED, (ERASED, "another-token"))
    assert ours.events[1].said == {"reason": ERASED}
    assert others.terms.wrong.startswith(ASIDE[0]) and others.events[1].said["reason"].startswith(ASIDE[0])
    assert wrong(town) == []


def test_what_is_written_of_them_meanwhile_keeps_the_erasure_open(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is no file of the home's is searched by nothing else."""

    def meanwhile(work: Work) -> Search:
        objected(town, WHO[0], [])
        return Search(files=0, unread=0, bytes=0, forms=0, found=0)

    monkeypatch.setattr("pipelines.erasure.erase.searched", meanwhile)
    with pytest.raises(LakeError, match="tell of the subject again"):
        done(town)
    monkeypatch.setattr("pipelines.erasure.erase.searched", searched)
    assert done(town).erasure.state == "completed"


def test_what_was_written_of_them_in_an_incident_goes_and_the_step_stays(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command takes no such text; an identifier that it does not know may stand there all the same."""
    log, now = open_log(town.ctx)[0], town.ctx.clock()
    (token,) = sorted(tokens_of(town.ctx, subject(WHO[0])))[:1]
    texts = {"found": f"查到{WHO[0]}的记录", "done": "已撤销令牌", "data": "已删除"}
    for number, kind, more in (
        (None, "open", {"level": "major", "texts": {"what": "疑似泄露"}}),
        (1, "note", {"texts": {"what": f"见{token}"}}),
        (1, "close", {"texts": texts}),
    ):
        said = Said.model_validate({"kind": kind, "by": "值班", "when": now, **more})
        record(town.settings, log, said, number, at=now)
    planned = {(each.zone, each.dataset): each.rows for each in plan(town.ctx, subject(WHO[0]))}
    assert planned["incidents", "incidents"] == 1
    write = store.write_atomic

    def kill(uri: str, data: bytes, media: str = "") -> None:
        if "/incidents/" in uri:
            raise KeyboardInterrupt
        write(uri, data, media)

    with monkeypatch.context() as killed:
        killed.setattr(store, "write_atomic", kill)
        with pytest.raises(KeyboardInterrupt):
            done(town)
    told = done(town)
    assert {(each.zone, each.rows) for each in told.erasure.places} >= {("incidents", 2)}
    opened, noted, closed = incidents.incident(str(town.lake), 1).steps
    assert closed.texts == {"found": ERASED, "done": "已撤销令牌", "data": "已删除"}
    assert (closed.erasure, opened.erasure, opened.texts["what"]) == (told.erasure.id, "", "疑似泄露")
    assert noted.texts == {"what": ERASED}
    assert town.places(*WHO, token) == set() and wrong(town) == []


def test_what_is_written_of_them_in_an_incident_meanwhile_keeps_the_erasure_open(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(work: Work) -> Search:
        now = town.ctx.clock()
        said = {"kind": "open", "level": "major", "by": "值班", "when": now, "texts": {"what": WHO[0]}}
        record(town.settings, open_log(town.ctx)[0], Said.model_validate(said), at=now)
        return Search(files=0, unread=0, bytes=0, forms=0, found=0)

    monkeypatch.setattr("pipelines.erasure.erase.searched", meanwhile)
    with pytest.raises(LakeError, match="1 texts tell of the subject again"):
        done(town)


# ── the command ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_reads_identifiers_from_standard_input(town: Town) -> None:
    bad = town.xuanwu("erase", text=WHO[0])
    assert bad.returncode == 2 and "--basis" in bad.stderr
    shown = town.xuanwu("erase", "--plan", text=WHO[0])
    assert "curated    police.person" in shown.stdout, shown.stderr
    assert "curated" in town.places(WHO[0])
    told = town.xuanwu(
        "erase", "--basis", "宁信访〔2026〕3号", text=f"resident_id {WHO[0].lower()}\nphone {WHO[2]}\n"
    )
    assert told.returncode == 0, told.stderr
    assert "found 0" in told.stdout and "proof/erasures/" in told.stdout
    for said in (shown, told, bad):
        assert WHO[0] not in said.stdout + said.stderr
    assert town.places(*WHO) == set()
    assert town.xuanwu("verify").returncode == 0


def test_malformed_identifiers_are_refused_without_being_quoted(town: Town) -> None:
    catalogue = town.ctx.catalogue
    for lines, words in ((["12345"], "too short"), ([], "no identifier"), ([" "], "no identifier")):
        with pytest.raises(SettingsError, match=words) as caught:
            read_subject(lines, "resident_id", catalogue)
        assert "12345" not in str(caught.value)
    with pytest.raises(SettingsError, match="no element 'nobody'"):
        read_subject([WHO[0]], "nobody", catalogue)
    assert WHO[0] not in repr(read_subject([WHO[0]], "resident_id", catalogue))


def test_rows_are_matched_in_any_form_and_type() -> None:
    who = subject("154-0000-1234")
    batch = pa.record_batch(
        {
            "text": ["１５４０００01234", "电154 0000 1234。", "9154000012345", None],
            "number": pa.array([1, 2, 3, 15400001234], pa.int64()),
            "float": pa.array([1.5, 2.0, None, 3.0]),
            "blob": pa.array([b"x", None, b"\xff", b"y"]),
        }
    )
    assert who.in_rows(batch).to_pylist() == [True, True, False, True]
