"""Two platforms on one machine: what the first collects and grants the second takes in, proves, shares on; and no more."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from exchange.accounts import make_token, open_account
from lake import store
from lake.certificates import load, path_of
from lake.landing import history
from lake.signing import load_signer
from lake.verify import Copy, verify
from pipelines.batches import batch_for
from pipelines.proof.certifying import open_log
from pipelines.stages import run_batch
from schemas.errors import ColumnsMissing, SourceError
from schemas.load import check_catalogue, load_catalogue
from tests.conftest import ASSESSED
from tests.exchange.platform import ID, KEY, PEOPLE, VISIT, Platform, visits

WHOLE = "share.health__visit__default"
SECOND_KEY = bytes(range(1, 33)).hex()


def now() -> datetime:
    return datetime.now(UTC)


def token(platform: Platform, who: str) -> str:
    principal = PEOPLE[who]
    open_account(platform.desk.state, principal.name, principal.department, principal.roles)
    lasts = timedelta(days=30)
    return make_token(platform.desk.state, who, "", ["read", "request"], now=now(), lasts=lasts)[0]


def environment(platform: Platform, **more: str) -> dict[str, str]:
    own = {"XUANWU_HOME": str(platform.settings.home), "XUANWU_CATALOGUE": str(platform.settings.catalogue)}
    return os.environ | own | more


@contextmanager
def served(platform: Platform) -> Iterator[str]:
    """`xuanwu serve` in a process of its own; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(Path(sys.executable).parent / "xuanwu"),
        "serve",
        "--port",
        str(port),
        "--per-minute",
        "6000",
    ]
    process = subprocess.Popen(command, env=environment(platform), stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert process.poll() is None, "the exchange has ended"
            try:
                httpx.get(f"{url}/health", timeout=5, trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


class Second(Platform):
    """The platform that takes in: its `run` is of today, as its clock is."""

    def take_in(self, days: int) -> dict[str, Any]:
        """The batch of so many days ago, up to what the second publishes."""
        ctx = self.ctx
        day = (now() - timedelta(days=days)).date()
        batch = batch_for(ctx, ctx.catalogue.entry("gulou.visit"), day)
        return {f"{stage} {part}".strip(): record for stage, part, record in run_batch(ctx, batch)}


def entry_of(first: str, key: str, **more: object) -> str:
    said = yaml.safe_load(VISIT)
    said |= {
        "id": "gulou.visit",
        "owner": "gulou",
        "code": "305009/000001",
        "source": {"kind": "exchange", "connection": "city", "dataset": ID, "key": key, "retries": 0},
        "share": {"type": "unconditional"},
    }
    said["fields"]["id_no"] = {
        "type": "string",
        "grade": 4,
        "risk": "none",
        "title": {"zh": "证", "en": "Token"},
        "mask": {"share": "hmac", "open": "drop"},
    }
    return yaml.safe_dump(said | more, allow_unicode=True)


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    platform = Platform(tmp_path / "first", now=now())
    platform.leave(1, visits())
    return platform


def second_of(first: Platform, url: str, files: dict[str, str], who: str = "asker_gulou") -> Second:
    key = token(first, who)
    connection = f"{url}/?header.Authorization=Bearer%20{key}"
    return Second(first.root.parent / "second", files=files, now=now(), urls={"city": connection})


def key_of(platform: Platform) -> str:
    return load_signer(platform.settings, lambda _: "").id


def findings(platform: Platform) -> list[str]:
    return [str(each) for each in verify(Copy(platform.settings.lake_root))]


def test_collect_share_consume_revoke(first: Platform) -> None:
    number = first.ask("gulou", rows="own").number
    first.run(1)
    with served(first) as url:
        second = second_of(first, url, {"gulou/visit.yaml": entry_of(url, key_of(first))})
        done = second.take_in(9)
        landed = done["collect"]
        assert (landed.rows, landed.counted, done["merge"].total) == (10, 10, 10)
        own = f"health__visit__default__grant_{number}"
        snapshot = first.ctx.tables.current_snapshot(("share", own))
        assert landed.upstream.snapshot == landed.position == str(snapshot)
        certificate = Path(first.settings.lake_root) / path_of("share", own, int(snapshot or 0))
        assert landed.upstream.certificate == store.sha256_of(str(certificate))
        assert (
            store.read_bytes(f"{second.settings.lake_root}/{landed.upstream.proof}")
            == certificate.read_bytes()
        )
        _masks_twice(first, second, own)
        assert list(second.take_in(8)) == ["collect"]  # nothing new
        _serves_on(second)
        first.leave(2, visits(80, day=2))
        first.run(2)
        assert second.take_in(7)["merge"].total == 20
        assert findings(second) == findings(first) == []
        first.take("chief", number, "revoke", reason="用途不符")
        with pytest.raises(SourceError, match="grant us this table"):
            second.take_in(6)
    assert len(second.rows("share.gulou__visit__default")) == 20
    with pytest.raises(SourceError, match="no answer"):
        second.take_in(5)
    _any_change_is_noticed(second)


def _masks_twice(first: Platform, second: Platform, own: str) -> None:
    """Tokens of the first are tokens of tokens at the second; neither's domain reaches the other's."""
    theirs = {row["id_no"] for row in first.rows(f"share.{own}")}
    ours = {row["id_no"] for row in second.rows("share.gulou__visit__default")}
    assert {row["id_no"] for row in second.rows("curated.gulou__visit")} == theirs
    assert len(theirs) == len(ours) == 10
    assert theirs.isdisjoint(ours)


def _serves_on(second: Platform) -> None:
    with served(second) as url:
        headers = {"Authorization": f"Bearer {token(second, 'asker_education')}"}
        answer = httpx.get(f"{url}/api/v1/tables/gulou.visit/default/rows", headers=headers, trust_env=False)
        assert len(answer.json()["rows"]) == 10


def _any_change_is_noticed(second: Platform) -> None:
    """The chain from what the second shares to the first's signature, broken at each of its links."""
    lake = Path(second.settings.lake_root)
    landed = next(each for each in history(second.settings, "gulou.visit") if each.files)
    assert landed.upstream is not None
    proof, key = lake / landed.upstream.proof, lake / "proof" / "upstream" / f"{landed.upstream.key}.pem"
    kept = {path: path.read_bytes() for path in (proof, key)}
    forged = json.loads(kept[proof])
    forged["certificate"]["rows"] += 1
    for path, data in (
        (proof, kept[proof].replace(b'"rows":20', b'"rows":21')),
        (proof, None),
        (key, (lake / "proof" / "keys" / f"{key_of(second)}.pem").read_bytes()),
        (key, None),
    ):
        path.unlink() if data is None else path.write_bytes(data)
        assert any("of another platform gave is not proved" in each for each in findings(second)), path
        path.write_bytes(kept[path])
    assert findings(second) == []


@pytest.fixture
def peer(first: Platform) -> Iterator[tuple[Platform, str]]:
    first.ask("gulou")
    first.run(1)
    with served(first) as url:
        yield first, url


def test_what_is_not_proved_or_not_offered_is_not_taken_in(peer: tuple[Platform, str]) -> None:
    first, url = peer
    second = second_of(first, url, {"gulou/visit.yaml": entry_of(url, "0123456789abcdef")})
    with pytest.raises(SourceError, match="is not proved: it is signed by the key"):
        second.take_in(9)
    said = yaml.safe_load(entry_of(url, key_of(first)))
    said["fields"]["name"] = {"type": "string", "grade": 2, "risk": "none", "title": {"zh": "名", "en": "N"}}
    (second.settings.catalogue / "gulou" / "visit.yaml").write_text(yaml.safe_dump(said, allow_unicode=True))
    more = Second(second.root, files={"gulou/visit.yaml": yaml.safe_dump(said)}, now=now(), urls=second.urls)
    with pytest.raises(ColumnsMissing, match="does not give name"):
        more.take_in(9)
    wrong = {"city": re.sub("xw_[^_]*_", "xw_0000000000000000_", second.urls["city"])}
    files = {"gulou/visit.yaml": entry_of(url, key_of(first))}
    stranger = Second(second.root, files=files, now=now(), urls=wrong)
    with pytest.raises(SourceError, match="does not know our token") as error:
        stranger.take_in(9)
    assert "xw_" not in str(error.value)
    assert list(history(second.settings, "gulou.visit")) == []


def test_a_certificate_that_another_key_signed_is_refused(peer: tuple[Platform, str]) -> None:
    first, url = peer
    snapshot = int(first.ctx.tables.current_snapshot(("share", "health__visit__default")) or 0)
    path = path_of("share", "health__visit__default", snapshot)
    certificate = load(first.settings.lake_root, path)
    second = second_of(first, url, {"gulou/visit.yaml": entry_of(url, key_of(first))})
    _, signer = open_log(second.ctx)
    from lake.certificates import encode

    assert certificate is not None
    forged = encode(certificate.model_copy(update={"rows": 39, "key": signer.id}), signer)
    store.write_atomic(store.join(first.settings.lake_root, path), forged)
    with pytest.raises(SourceError, match="signed by the key"):
        second.take_in(9)


def test_an_entry_is_drafted_from_the_other_platforms_own(peer: tuple[Platform, str]) -> None:
    first, url = peer
    second = second_of(
        first,
        url,
        {"gulou/other.yaml": VISIT.replace(ID, "gulou.other").replace("owner: health", "owner: gulou")},
    )
    file = second.settings.catalogue / "gulou" / "visit.yaml"
    command = [str(Path(sys.executable).parent / "xuanwu"), "catalogue", "import", ID, "--from", "city"]
    done = subprocess.run(
        [*command, "--owner", "gulou", "--output", str(file)],
        env=environment(second, XUANWU_CONN_CITY=second.urls["city"]),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (second.settings.catalogue / "gulou" / "other.yaml").unlink()
    assert [each.key for each in check_catalogue(second.settings.catalogue)] == ["assessed"]
    file.write_text(f"{file.read_text()}assessed: {json.dumps(ASSESSED)}\n")
    assert check_catalogue(second.settings.catalogue) == []
    entry = load_catalogue(second.settings.catalogue).entry("gulou.visit")
    assert (entry.share.type, entry.source.kind, entry.key) == ("none", "exchange", ("visit_no",))
    assert {name: field.element for name, field in entry.fields.items()} == {
        "visit_no": None,
        "id_no": None,  # a token is no identity number
        "district": "division_code",
        "fee": None,
    }
    taken = Second(second.root, files={"gulou/visit.yaml": file.read_text()}, now=now(), urls=second.urls)
    assert taken.take_in(9)["merge"].total == 40
