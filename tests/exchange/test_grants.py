"""A grant of some columns, or of a territory's rows, is a masked table of its own: made, refreshed, proved, withdrawn."""

from __future__ import annotations

import json
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exchange.access import access, readable
from exchange.accounts import Session
from exchange.errors import Forbidden, Unfit
from lake import certificates
from lake.verify import Copy, verify
from pipelines.contracts.form import contract_hash
from pipelines.erasure.erase import erase
from pipelines.erasure.subject import Subject
from pipelines.publishing import granting
from tests.exchange.platform import ID, KEY, PEOPLE, Platform, resident, visits

WHOLE = "share.health__visit__default"


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    monkeypatch.setenv("XUANWU_SIGNING_KEY", bytes(range(32, 64)).hex())
    made = Platform(tmp_path)
    made.leave(1, visits())
    return made


def session(who: str) -> Session:
    return Session(PEOPLE[who], frozenset({"read", "request"}), "t")


def findings(platform: Platform) -> list[str]:
    return [str(each) for each in verify(Copy(platform.settings.lake_root))]


def test_a_table_of_its_own_of_the_rows_and_columns_granted(platform: Platform) -> None:
    one = platform.ask("xuanwu", rows="own", columns=["fee", "id_no"])
    other = platform.ask("gulou", rows="own")
    city = platform.ask("nanjing", rows="own", columns=["id_no"])
    done = platform.run(1)
    table = f"{WHOLE}__grant_{one.number}"
    record = done[f"publish share/default__grant_{one.number}"]
    assert (record.rows_in, record.rows_out, record.outside) == (40, 10, 30)
    rows = platform.rows(table)
    assert {tuple(row) for row in rows} == {("id_no", "fee")}
    assert sorted(row["fee"] for row in rows) == [n * 10 + 1 for n in range(0, 40, 4)]
    assert sorted(row["fee"] for row in platform.rows(f"{WHOLE}__grant_{other.number}")) == [
        n * 10 + 1 for n in range(2, 40, 4)
    ]
    assert (
        len(platform.rows(f"{WHOLE}__grant_{city.number}")) == 30
    )  # a row without a code lies in no territory
    tokens = [
        {row["id_no"] for row in platform.rows(name)}
        for name in (WHOLE, table, *(f"{WHOLE}__grant_{each.number}" for each in (other, city)))
    ]
    assert all(len(each) in (10, 30, 40) for each in tokens)
    for number, each in enumerate(tokens):
        assert all(each.isdisjoint(rest) for rest in tokens[number + 1 :])
    assert findings(platform) == []
    _is_proved(platform, record, one.number)


def _is_proved(platform: Platform, record: object, number: int) -> None:
    path = certificates.path_of("share", f"health__visit__default__grant_{number}", record.snapshot)  # type: ignore[attr-defined]
    certificate = certificates.load(platform.settings.lake_root, path)
    assert certificate is not None
    assert certificate.grant is not None
    assert (certificate.grant.recipient, certificate.grant.division) == ("xuanwu", "320102")
    assert (certificate.rows_in, certificate.rows, certificate.outside) == (40, 10, 30)
    attempts = platform.ctx.ledger.done(ID)
    own = next(each for each in attempts if each.part.endswith(f"grant_{number}"))
    assert own.counts["outside"] == 30
    assert certificate.contract == contract_hash(platform.ctx.catalogue.entry(ID))


def test_it_is_refreshed_with_every_batch_and_by_hand(platform: Platform) -> None:
    platform.run(1)
    number = platform.ask("xuanwu", rows="own").number
    table = f"{WHOLE}__grant_{number}"
    assert platform.files_of(table) == []
    assert [each.rows_out for each in granting.refresh(platform.ctx)] == [10]
    assert [each.reused for each in granting.refresh(platform.ctx)] == [True]
    platform.leave(2, visits(80, day=2))
    platform.run(2)
    assert len(platform.rows(table)) == 20
    shown = {each.number: each for each in granting.grants(platform.ctx)}
    assert (shown[number].rows, shown[number].division, shown[number].lasts) == (20, "320102", True)
    assert findings(platform) == []


def test_the_reader_gets_the_grants_table_and_no_other(platform: Platform) -> None:
    number = platform.ask("xuanwu", rows="own").number
    platform.run(1)
    own = f"default__grant_{number}"
    for policy in ("default", own):
        found = access(platform.desk, session("asker_xuanwu"), ID, policy)
        assert found.table == ("share", f"health__visit__{own}")
    assert [each.policy for each in readable(platform.desk, session("asker_xuanwu"))] == [own]
    for who in ("asker_gulou", "asker_education", "clerk"):
        assert readable(platform.desk, session(who)) == []
        for policy in ("default", own, "default__grant_99", "default__", "statistics"):
            with pytest.raises(Forbidden):
                access(platform.desk, session(who), ID, policy)
    whole = platform.ask("xuanwu").number
    assert access(platform.desk, session("asker_xuanwu"), ID, "default").grant.number == whole  # type: ignore[union-attr]
    assert len(readable(platform.desk, session("asker_xuanwu"))) == 2


def test_the_table_goes_with_the_grant(platform: Platform) -> None:
    numbers = [platform.ask(who, rows="own").number for who in ("xuanwu", "gulou", "nanjing")]
    platform.run(1)
    tables = [f"{WHOLE}__grant_{number}" for number in numbers]
    assert all(map(platform.files_of, tables))
    platform.take("bureau", numbers[2], "suspend", reason="核查")
    with pytest.raises(Forbidden):
        access(platform.desk, session("asker_nanjing"), ID, "default")
    platform.take("chief", numbers[0], "revoke", reason="用途不符")
    assert [bool(platform.files_of(table)) for table in tables] == [False, True, True]
    platform.now += timedelta(days=31)
    with pytest.raises(Forbidden):
        access(platform.desk, session("asker_gulou"), ID, "default")
    assert sorted(granting.sweep(platform.ctx)) == sorted(tables[1:])
    assert not any(map(platform.files_of, tables))
    assert platform.files_of(WHOLE)
    assert granting.sweep(platform.ctx) == []
    assert findings(platform) == []


def test_a_grant_that_ends_while_its_table_is_made(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = platform.ask("xuanwu", rows="own").number
    looked, ended = granting.narrowed, []

    def watch(publication: object, rows: object, *rest: object) -> object:
        if "grant" in publication.policy:  # type: ignore[attr-defined]
            platform.take("chief", number, "revoke", reason="用途不符")
            ended.append(number)
        return real(publication, rows, *rest)

    from pipelines.gates import leak

    real = leak.watch
    monkeypatch.setattr(leak, "watch", watch)
    done = platform.run(1)
    assert ended == [number]
    assert "publish share/statistics" in done
    assert platform.files_of(f"{WHOLE}__grant_{number}") == []
    assert len(platform.rows(WHOLE)) == 40
    assert looked is granting.narrowed
    assert findings(platform) == []


def test_a_policy_that_is_gone_takes_its_grants_tables_along(platform: Platform) -> None:
    number = platform.ask("xuanwu", rows="own", policy="statistics").number
    platform.run(1)
    table = f"share.health__visit__statistics__grant_{number}"
    assert len(platform.rows(table)) == 10
    entry = platform.settings.catalogue / "health" / "visit.yaml"
    entry.write_text(entry.read_text().replace(", statistics: {fields: [district, fee]}", ""))
    after = Platform(platform.root, files={"health/visit.yaml": entry.read_text()})
    after.run(1, start="publish")
    assert after.files_of(table) == []
    assert readable(after.desk, session("asker_xuanwu")) == []


def test_whoever_is_erased_is_erased_from_the_tables_of_grants(platform: Platform) -> None:
    number = platform.ask("xuanwu", rows="own").number
    platform.run(1)
    table = f"{WHOLE}__grant_{number}"
    before = {row["id_no"] for row in platform.rows(table)}
    done = erase(platform.ctx, Subject((("resident_id", resident(4)),)), "《个人信息保护法》第四十七条")
    after = {row["id_no"] for row in platform.rows(table)}
    assert len(before - after) == 1
    assert len(after) == 9
    assert table in _published(done)
    assert not any((before - after).pop().encode() in path.read_bytes() for path in platform.files_of(table))
    assert findings(platform) == []


def _published(done: object) -> list[str]:
    paths = [proof.path for proof in done.erasure.publications]  # type: ignore[attr-defined]
    return [f"share.{path.split('/')[-2]}" for path in paths]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"columns": ["name"]}, "1 of the columns are not given"),
        ({"policy": "statistics", "columns": ["id_no", "fee"]}, "1 of the columns are not given"),
        ({"columns": ["fee", 'fee"; DROP TABLE requests; --', "a\nb", "../x", "_batch"]}, "4 of the columns"),
        ({"columns": ["*"]}, "not given"),
        ({"columns": "fee"}, "malformed"),
        ({"columns": [["fee"]]}, "not given"),
        ({"columns": ["fee"] * 501}, "malformed"),
        ({"rows": "some"}, "rows asked for are unknown"),
        ({"rows": "own", "territory": "fee"}, "which territory"),
    ],
)
def test_a_scope_that_the_policy_does_not_give_is_refused_when_it_is_asked_for(
    platform: Platform, asked: dict, says: str
) -> None:
    with pytest.raises(Unfit, match=says) as refused:
        platform.draft("xuanwu", **asked)
    assert "DROP" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_who_has_no_territory_has_no_rows_of_its_own(platform: Platform) -> None:
    with pytest.raises(Unfit, match="serves the whole city"):
        platform.draft("education", rows="own")
    assert platform.draft("education", columns=["visit_no", "id_no", "district", "fee"]).terms.columns == ()


def test_the_commands(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.cli import app

    platform.run(1)
    number = platform.ask("xuanwu", columns=["fee"]).number
    monkeypatch.setenv("XUANWU_HOME", str(platform.settings.home))
    monkeypatch.setenv("XUANWU_CATALOGUE", str(platform.settings.catalogue))
    monkeypatch.setattr("pipelines.context.datetime", _Clock(platform))
    runner = CliRunner()
    done = runner.invoke(app, ["grant", "refresh"])
    assert done.exit_code == 0, done.output
    assert f"{WHOLE}__grant_{number}  40 rows  published" in done.output
    listed = json.loads(runner.invoke(app, ["grant", "list", "--json"]).output)
    assert [(each["number"], each["rows"], each["columns"]) for each in listed] == [(number, 40, ["fee"])]
    assert "1 columns" in runner.invoke(app, ["grant", "list"]).output


class _Clock:
    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    def now(self, _: object) -> object:
        return self.platform.now


def test_a_backup_as_the_operators_page_has_it_is_restored_whole(platform: Platform, tmp_path: Path) -> None:
    number = platform.ask("xuanwu", rows="own").number
    platform.run(1)
    home, lake, kept = platform.settings.home, Path(platform.settings.lake_root), tmp_path / "backup"
    kept.mkdir()
    for name in ("ledger", "iceberg", "exchange"):
        with sqlite3.connect(home / f"{name}.db") as live, sqlite3.connect(kept / f"{name}.db") as copy:
            live.backup(copy)
    shutil.copytree(lake, kept / "lake")
    platform.leave(2, visits(80, day=2))
    platform.run(2)
    shutil.rmtree(home)
    shutil.copytree(kept / "lake", lake)
    for name in ("ledger", "iceberg", "exchange"):
        shutil.copy(kept / f"{name}.db", home / f"{name}.db")
    restored = Platform(platform.root)
    assert findings(restored) == []
    assert len(restored.rows(f"{WHOLE}__grant_{number}")) == 10
    found = access(restored.desk, session("asker_xuanwu"), ID, "default")
    assert found.grant is not None and found.grant.number == number
    assert restored.run(2)["merge"].total == 80
    assert findings(restored) == []
