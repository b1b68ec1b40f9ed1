"""What is done at the shell stands in the audit log, without a secret; where it cannot, nothing is given."""

from __future__ import annotations

import getpass
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from exchange.accounts import accounts, is_closed, tokens
from exchange.contacts import contacts
from exchange.state import State
from lake.auditlog import AuditLog
from lake.signing import canonical, load_signer
from lake.verify import Copy, journal
from pipelines.cli import app
from pipelines.connections import from_environment
from schemas.errors import LakeError
from schemas.settings import Settings

PASSWORD = "a long enough password"
MAIL = "office@education.example"
OPEN = ("account", "create", "wang", "--role", "requester", "--department", "education")


@pytest.fixture
def shell(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("XUANWU_HOME", str(settings.home))
    return settings


def run(*words: str, typed: str | None = None) -> str:
    done = CliRunner().invoke(app, words, input=typed, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def told(settings: Settings) -> list[dict[str, Any]]:
    log = AuditLog(settings, load_signer(settings, from_environment))
    return [entry for _, entry in log.entries(0)]


def test_each_is_told_by_whom_and_without_its_secret(shell: Settings) -> None:
    run(*OPEN, "--password", typed=f"{PASSWORD}\n{PASSWORD}\n")
    text = run("token", "create", "wang", "--scope", "read", "--days", "9").strip()
    ident = text.split("_")[1]
    run("contact", "add", "education", "email", MAIL)
    run("contact", "add", "education", "email", MAIL)
    run("contact", "remove", "education", "email", MAIL)
    run("token", "revoke", ident)
    run("account", "close", "wang")
    found = told(shell)
    assert [(each["action"], each["phase"]) for each in found] == [
        ("account", "opened"),
        ("token", "made"),
        ("contact", "added"),
        ("contact", "removed"),
        ("token", "revoked"),
        ("account", "closed"),
    ]
    assert {each["by"] for each in found} == {getpass.getuser()}
    assert all(each["at_shell"] for each in found)
    opened, made, *_ = found
    assert (opened["account"], opened["department"], opened["roles"]) == ("wang", "education", ["requester"])
    assert opened["password"] is True
    assert (made["token"], made["scopes"], found[4]["token"]) == (ident, ["read"], ident)
    added, removed = (each["address"] for each in found[2:4])
    assert added == removed != hashlib.sha256(canonical(MAIL)).hexdigest()
    everything = json.dumps(found)
    assert not [secret for secret in (PASSWORD, text, text.split("_", 2)[2], MAIL) if secret in everything]
    log = AuditLog(shell, load_signer(shell, from_environment))
    assert list(_findings(log)) == []


def test_accounts_are_listed_without_a_secret(shell: Settings) -> None:
    """Of each its department, roles, whether it is closed, and the tokens that are good: neither one that was revoked
    nor those of a closed account."""
    run(*OPEN, "--password", typed=f"{PASSWORD}\n{PASSWORD}\n")
    run("account", "create", "bureau", "--role", "authority", "--role", "auditor")
    run("account", "create", "left", "--role", "requester", "--department", "education")
    texts = [run("token", "create", name, "--days", "9").strip() for name in ("wang", "wang", "left")]
    idents = [text.split("_")[1] for text in texts]
    run("token", "revoke", idents[0])
    run("account", "close", "left")
    bureau, left, wang = json.loads(run("account", "list", "--json"))
    assert [each["name"] for each in (bureau, left, wang)] == ["bureau", "left", "wang"]
    assert (wang["department"], wang["roles"], wang["closed"]) == ("education", ["requester"], None)
    assert (bureau["department"], bureau["roles"]) == ("", ["authority", "auditor"])
    assert [each["password"] for each in (bureau, left, wang)] == [False, False, True]
    assert [each["id"] for each in wang["tokens"]] == [idents[1]]
    assert left["closed"] and left["tokens"] == []
    later = accounts(State(shell), datetime.now(UTC) + timedelta(days=10))
    assert [each.tokens for each in later] == [()] * 3
    shown = run("account", "list")
    ends = datetime.fromisoformat(wang["tokens"][0]["expires"])
    assert f"{ends:%Y-%m-%d}" in shown and shown.count(f"{ends:%Y-%m-%d}") == 1
    everything = shown + run("account", "list", "--json")
    hashes = [hashlib.sha256(text.split("_", 2)[2].encode()).hexdigest() for text in texts]
    assert not [secret for secret in (PASSWORD, "argon2", *texts, *hashes) if secret in everything]


def _findings(log: AuditLog) -> Iterator[object]:
    yield from journal.replay(Copy(log.settings.lake_root), log.signer.trust, None)


def test_where_the_log_cannot_be_written_nothing_is_given_and_what_ends_has_ended(
    shell: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*OPEN)
    ident = run("token", "create", "wang").split("_")[1]
    run("contact", "add", "education", "email", MAIL)
    state = State(shell)

    def refuse(log: AuditLog, entry: object) -> int:
        raise LakeError("the audit log cannot be written")

    monkeypatch.setattr(AuditLog, "append", refuse)
    for words in (
        ("account", "create", "li", "--role", "requester", "--department", "education"),
        ("token", "create", "wang"),
        ("contact", "add", "education", "webhook", "https://education.example/hook"),
        ("token", "revoke", ident),
        ("contact", "remove", "education", "email", MAIL),
        ("account", "close", "wang"),
    ):
        with pytest.raises(LakeError):
            run(*words)
    (kept,) = tokens(state)
    assert kept.id == ident and kept.revoked is not None
    assert contacts(state) == []
    assert is_closed(state, "wang")
    monkeypatch.undo()
    monkeypatch.setenv("XUANWU_HOME", str(shell.home))
    run("account", "create", "li", "--role", "requester", "--department", "education")
