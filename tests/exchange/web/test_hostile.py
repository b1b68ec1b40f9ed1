"""Hostile readers: every caller at every door of every table, the bytes that they get, and what else they try."""

from __future__ import annotations

import gzip
import io
import json
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from exchange.accounts import close_account, make_token, open_account, revoke_token
from exchange.requests import take
from lake import store
from lake.search import Needles, search
from tests.exchange.provider import Key, Provider
from tests.exchange.provider.fixtures import MakeIssuer
from tests.exchange.web.conftest import PEOPLE, Served
from tests.pipelines.publishing.making import people

COLUMNS = ("visit_no", "id_no", "name", "born", "district", "fee", "at", "memo", "balance")
TABLES = ("default", "statistics", "open", "default__grant_1", "*")
SECRETS = [each for row in people(200) for each in (row["id_no"], row["name"], f"1381234{row['balance']}")]


class Caller:
    """A reader with a token, or with what it takes for one, at every door. What it got are bytes, by where from."""

    def __init__(self, served: Served, token: str | None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        self.http = httpx.Client(base_url=served.url, headers=headers, timeout=60)
        self.bare = httpx.Client(timeout=60)
        lake = served.exchange.city.settings.lake_root
        self.keys = [path.removeprefix(f"{lake}/") for path in store.list_files(f"{lake}/share")]

    def rows(self, policy: str, **params: Any) -> httpx.Response:
        return self.http.get(f"/api/v1/tables/health.visit/{policy}/rows", params=params)

    def api(self, policy: str) -> Iterator[bytes]:
        for column in (*COLUMNS, "_batch", "*", "visit_no,id_no"):
            answer = self.rows(policy, columns=column, format="arrow", limit=1000)
            if answer.status_code == 200:
                yield answer.content

    def delta(self, policy: str) -> Iterator[bytes]:
        table = f"/delta-sharing/shares/health/schemas/visit/tables/{policy}"
        answer = self.http.post(f"{table}/query", json={})
        for line in answer.text.splitlines() if answer.status_code == 200 else ():
            if file := json.loads(line).get("file"):
                yield self.bare.get(file["url"]).content
        if (metadata := self.http.get(f"{table}/metadata")).status_code == 200:
            yield metadata.content

    def load(self, policy: str) -> dict[str, Any] | None:
        answer = self.http.get(f"/iceberg/v1/namespaces/health/tables/visit__{policy}")
        return answer.json() if answer.status_code == 200 else None

    def signed(self, config: dict[str, str], key: str, method: str = "GET") -> httpx.Response:
        """Of `/xuanwu/<key>` as an S3 client with these credentials asks for it."""
        request = AWSRequest(method, f"{config['s3.endpoint']}/xuanwu/{key}")
        names = ("s3.access-key-id", "s3.secret-access-key", "s3.session-token")
        S3SigV4Auth(Credentials(*(config[name] for name in names)), "s3", "us-east-1").add_auth(request)
        return self.bare.request(method, request.url, headers=dict(request.headers.items()))

    def iceberg(self, policy: str) -> Iterator[bytes]:
        """What the table's metadata lead to, and whatever else of the lake the credentials open."""
        again = self.http.get(f"/iceberg/v1/namespaces/health/tables/visit__{policy}/credentials")
        if (loaded := self.load(policy)) is None:
            assert again.status_code != 200
            return
        yield json.dumps(loaded["metadata"]).encode()
        for snapshot in loaded["metadata"]["snapshots"]:
            yield self.signed(
                loaded["config"], snapshot["manifest-list"].removeprefix("s3://xuanwu/")
            ).content
        for config in (loaded["config"], again.json()["storage-credentials"][0]["config"]):
            for key in self.keys:
                if (answer := self.signed(config, key)).status_code == 200:
                    yield answer.content

    def proof(self, policy: str) -> Iterator[bytes]:
        answer = self.http.get(f"/api/v1/tables/health.visit/{policy}/certificate")
        if answer.status_code == 200:
            yield answer.content

    def got(self) -> dict[tuple[str, str], list[bytes]]:
        doors = {"api": self.api, "delta": self.delta, "iceberg": self.iceberg, "proof": self.proof}
        found = {(door, policy): list(read(policy)) for door, read in doors.items() for policy in TABLES}
        return {place: pieces for place, pieces in found.items() if pieces}

    def listed(self) -> list[object]:
        """The tables that each door's list offers."""
        tables, shares = self.http.get("/api/v1/tables"), self.http.get("/delta-sharing/shares")
        spaces = self.http.get("/iceberg/v1/namespaces")
        if tables.status_code != 200:
            assert {shares.status_code, spaces.status_code} <= {200, 401, 403}
            return []
        readable = [each["policy"] for each in tables.json() if each["readable"]]
        return [*readable, *shares.json()["items"], *spaces.json()["namespaces"]]


def of_the_issuer(provider: Provider) -> dict[str, str | None]:
    """Tokens that the city's identity provider gave, and such as it never would. All at one moment: of what was said of
    somebody the newest holds, and one of a later second would end the roles of one before."""
    mine, forge = Key.rsa(), partial(provider.forge, now=int(time.time()))
    return {
        "of the issuer": forge(),
        "a system of the issuer": provider.token(),
        "of the issuer, another department": forge(sub="other-sub", department="transport"),
        "of the issuer, no department": forge(department="magic"),
        "of the issuer, an auditor": forge(department=None, roles=["auditor"]),
        "of the issuer, the public": forge(sub="anybody", roles=["public"]),
        "of the issuer, expired": forge(exp=1),
        "of the issuer, for another": provider.token("elsewhere"),
        "of the issuer, not yet": forge(nbf=9999999999),
        "of another issuer": forge(iss="https://idp.city.example"),
        "with another key": forge(key=mine.private),
        "with a key of its own": forge(key=mine.private, header={"jwk": mine.jwk(public=True)}),
        "an ID token": forge(aud="exchange", nonce="n", header={"typ": "JWT"}),
        "a built-in name": forge(sub="asker", department="transport"),
    }


def tokens(served: Served) -> dict[str, str | None]:
    """One of everybody: nobody, the known, and those that are known no more."""
    desk, day = served.exchange.desk, timedelta(days=1)
    state, now = desk.state, desk.clock()
    past = make_token(state, "asker", "", ["read"], now=now - 2 * day, lasts=day)[0]
    ended, kept = make_token(state, "asker", "", ["read"], now=now, lasts=day)
    revoke_token(state, kept.id, now)
    open_account(state, "gone", "education", ["requester"])
    gone = make_token(state, "gone", "", ["read"], now=now, lasts=day)[0]
    close_account(state, "gone", now)
    apply = make_token(state, "asker", "", ["request"], now=now, lasts=day)[0]
    right = served.token("asker")
    return {
        "nobody": None,
        "nothing": "null",
        "a guess": f"xw_{secrets.token_hex(8)}_{secrets.token_urlsafe(32)}",
        "a wrong secret": f"{right[:-1]}{'A' if right[-1] != 'A' else 'B'}",
        "a secret of another": f"{served.token('other')[:20]}{right[20:]}",
        "none, as a JWT": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhc2tlciJ9.",
        "expired": past,
        "revoked": ended,
        "of a closed account": gone,
        "for applying": apply,
        **{name: served.token(name) for name in PEOPLE},
    }


def test_everybody_at_every_door_of_every_table(
    served: Served, provider: Provider, make_issuer: MakeIssuer, tmp_path: Path
) -> None:
    served.exchange.house.issuer = make_issuer(clock=lambda: datetime.now(UTC))
    served.exchange.house.per_minute = 1_000_000
    everybody = tokens(served) | of_the_issuer(provider)
    callers = {name: Caller(served, token) for name, token in everybody.items()}
    assert not callers["asker"].got()
    number = served.grant()
    got = {name: caller.got() for name, caller in callers.items()}
    doors = {(door, "default") for door in ("api", "delta", "iceberg", "proof")}
    right = ("asker", "head", "of the issuer", "a system of the issuer")
    assert {name: set(pieces) for name, pieces in got.items() if pieces} == dict.fromkeys(right, doors)
    assert {name for name, caller in callers.items() if caller.listed()} == set(right)
    pieces = [piece for places in got["asker"].values() for piece in places]
    assert len(pieces) >= len(COLUMNS) + 3
    assert sum(piece.startswith(b"PAR1") for piece in got["asker"]["iceberg", "default"]) == 2
    for index, piece in enumerate(pieces):
        (tmp_path / f"{index}").write_bytes(piece)
    files = [str(each) for each in tmp_path.iterdir()]
    assert search(files, Needles(SECRETS)).found == {}
    assert search(files, Needles(["V00001"])).found
    take(served.exchange.desk, PEOPLE["chief"], number, "revoke", {"reason": "用途不符"})
    assert not any(callers[name].got() or callers[name].listed() for name in right)


def test_credentials_of_a_table_reach_nothing_else(served: Served) -> None:
    served.grant()
    caller = Caller(served, served.token())
    loaded = caller.load("default")
    assert loaded is not None
    config, home = loaded["config"], "share/health__visit__default"
    lake = served.exchange.city.settings.lake_root
    inside = [path.removeprefix(f"{lake}/") for path in store.list_files(lake)]
    shown = [key for key in inside if caller.signed(config, key).status_code == 200]
    assert {key.rpartition("/")[0].partition("/")[0] for key in shown} == {"share"}
    assert all(key.startswith(f"{home}/") for key in shown)
    kinds = {"parquet", "avro", "json"}
    assert {key.rpartition(".")[2] for key in shown} == kinds
    odd = (
        "",
        "*",
        "share/*",
        f"{home}/*",
        f"{home}/../health__visit__statistics",
        f"{home}/%2e%2e/x",
        f"{home}%00",
    )
    for key in (
        *odd,
        f"{home}__statistics/x",
        "curated/health__visit",
        f"/{home}",
        f"{home}//",
        "?list-type=2",
    ):
        for method in ("GET", "HEAD", "PUT", "DELETE", "POST"):
            assert caller.signed(config, key, method).status_code in (403, 404, 405), key
    life = next(key for key in shown if "/metadata/" in key).partition("/metadata/")[0]
    for name in (f"plain-{'a' * 300}", "plain-%00", "plain-", "plain-x.parquet"):
        assert caller.signed(config, f"{life}/shown/{name}").status_code == 404, name
    data = next(key for key in shown if key.endswith(".parquet"))
    for method in ("PUT", "DELETE", "POST"):
        assert caller.signed(config, data, method).status_code == 405
    whole = caller.signed(config, data).content
    assert pq.read_table(io.BytesIO(whole)).num_rows == 200
    stranger = Caller(served, served.token("other"))
    other = config | {"s3.secret-access-key": "x" * 64}
    assert stranger.signed(other, data).status_code == 403
    assert caller.bare.get(f"{served.url}/xuanwu/{data}").status_code == 403


@pytest.mark.parametrize(
    "name",
    [
        "%2e%2e%2fcurated",
        "*",
        "health.visit%0d%0aX-Evil: 1",
        "🚪",
        "a" * 5000,
        "%00",
        "';--",
        "{{7*7}}",
    ],
)
def test_odd_names_lead_nowhere_and_are_not_said_back(served: Served, name: str) -> None:
    caller = Caller(served, served.token())
    for path in (
        f"/api/v1/tables/{name}/default/rows",
        f"/api/v1/tables/health.visit/{name}/rows",
        f"/delta-sharing/shares/{name}/schemas/{name}/tables/{name}/metadata",
        f"/iceberg/v1/namespaces/{name}/tables/{name}",
        f"/files/{name}?X-Amz-Signature={name}",
    ):
        answer = caller.http.get(path)
        assert answer.status_code in (401, 403, 404, 406, 422), path
        assert "x-evil" not in answer.headers
        assert "7*7" not in answer.text and "49" not in answer.text
    entries = json.dumps(served.exchange.log(), ensure_ascii=False)
    assert "🚪" not in entries and "';--" not in entries


def test_bodies_are_bounded_and_are_not_unpacked(served: Served) -> None:
    caller = Caller(served, served.token())
    bomb = gzip.compress(b" " * (50 << 20))
    assert len(bomb) < 1 << 16
    for path in ("/api/v1/requests", "/delta-sharing/shares/health/schemas/visit/tables/default/query"):
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        assert caller.http.post(path, content=bomb, headers=headers).status_code in (400, 403, 422)
        deep = b'{"jsonPredicateHints":' + b"[" * 60_000 + b"}"
        plain = {"Content-Type": "application/json"}
        assert caller.http.post(path, content=deep, headers=plain).status_code in (400, 403, 422)
        assert caller.http.post(path, content=b"x" * (1 << 17), headers=plain).status_code == 413
        chunks = iter([b"{}"])
        assert caller.http.post(path, content=chunks, headers=plain).status_code == 411
