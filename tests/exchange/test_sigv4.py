"""Signatures of AWS Signature Version 4, made by botocore and judged by us."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from exchange.errors import Unauthenticated
from exchange.sigv4 import Call, session_token

PAIR = ("XW0123456789ABCDEF", "secret")


def signed(path: str = "/xuanwu/share/t/data/x.parquet", method: str = "GET", **headers: str) -> Call:
    """A call as a client of AWS's own makes it."""
    request = AWSRequest(method, f"http://127.0.0.1:8329{path}", headers=headers)
    S3SigV4Auth(Credentials(*PAIR, "the-pass"), "s3", "cn-north-1").add_auth(request)
    sent = {name.lower(): str(text) for name, text in request.headers.items()} | {"host": "127.0.0.1:8329"}
    written, _, query = path.partition("?")
    return Call(method, written, query, sent)


def judge(call: Call, after: timedelta = timedelta(0)) -> str:
    return session_token(
        call,
        datetime.now(UTC) + after,
        lambda token: PAIR if token == "the-pass" else ("XW" + "0" * 16, "other"),
    )


@pytest.mark.parametrize(
    "path",
    [
        "/xuanwu/share/t/data/x.parquet",
        "/xuanwu/share/t/%E4%B8%80.parquet",
        "/xuanwu/a?list-type=2&prefix=share%2Ft%2F&delimiter=%2F",
        "/xuanwu/a?b",
        "/xuanwu/a?b=2&a=1&b=1",
    ],
)
def test_what_a_client_signs_is_taken(path: str) -> None:
    assert judge(signed(path)) == "the-pass"
    assert judge(signed(path, "HEAD", Range="bytes=0-9")) == "the-pass"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("method", "HEAD"),
        ("path", "/xuanwu/share/other/data/x.parquet"),
        ("path", "/xuanwu/share/t/data/x.parquet/"),
        ("query", "versionId=1"),
        ("x-amz-date", "20200101T000000Z"),
        ("x-amz-date", ""),
        ("x-amz-security-token", "another-pass"),
        ("x-amz-security-token", ""),
        ("x-amz-content-sha256", "0" * 64),
        ("host", "evil.example"),
        ("authorization", ""),
        ("authorization", "Bearer the-pass"),
        ("authorization", "AWS4-HMAC-SHA256 Credential=X, SignedHeaders=host, Signature=0"),
    ],
)
def test_what_is_altered_is_refused(part: str, value: str) -> None:
    call = signed()
    if part in ("method", "path", "query"):
        changed = Call(**{**vars(call), part: value})
    else:
        changed = Call(call.method, call.path, call.query, {**call.headers, part: value})
    with pytest.raises(Unauthenticated):
        judge(changed)


@pytest.mark.parametrize("name", ["host", "x-amz-date", "x-amz-security-token"])
def test_a_header_that_must_be_signed(name: str) -> None:
    call = signed()
    left = {**call.headers, "authorization": re.sub(f";?{name}(?=[;,])", "", call.headers["authorization"])}
    with pytest.raises(Unauthenticated):
        judge(Call(call.method, call.path, call.query, left))


def test_a_call_is_good_for_a_quarter_of_an_hour() -> None:
    call = signed()
    assert judge(call, timedelta(minutes=14)) == "the-pass"
    for minutes in (-16, 16, 24 * 60):
        with pytest.raises(Unauthenticated):
            judge(call, timedelta(minutes=minutes))


def test_another_secret_is_refused() -> None:
    with pytest.raises(Unauthenticated):
        session_token(signed(), datetime.now(UTC), lambda token: (PAIR[0], "guessed"))
    with pytest.raises(Unauthenticated):
        session_token(signed(), datetime.now(UTC), lambda token: ("XW" + "0" * 16, PAIR[1]))
