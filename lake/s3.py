"""The lake on S3: pyarrow's client with the settings of the usual `AWS_*` variables, its retries, its errors in words.

Keys come from where every S3 client finds them: the variables, the profile in `~/.aws`, the role of the machine or the
container. A request that fails for a passing reason (no connection, a time-out, a busy or restarted server) is made
again, up to `AWS_MAX_ATTEMPTS` times in all with ever longer waits: five take about eight seconds. Big files go up in
parts; a process that is killed leaves parts that no name leads to, which the bucket's rule for incomplete uploads
removes.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final

from pyarrow import fs

ATTEMPTS: Final = 5
CONNECT_SECONDS: Final = 5.0
REQUEST_SECONDS: Final = 30.0
COPY_BYTES: Final = 5 << 30
"""The most that S3 copies in one request; more is copied in parts (Amazon S3 API, CopyObject)."""
RETRIES: Final = "lake.s3.Retries"
"""The name by which pyiceberg finds them."""
_AWS = re.compile(r"AWS Error ([A-Z_]+)(?: \(HTTP status (\d+)\))? during (\w+)")


class Retries(fs.AwsStandardS3RetryStrategy):
    """As many attempts as `AWS_MAX_ATTEMPTS` says, which other S3 clients heed too."""

    def __init__(self) -> None:
        told = os.environ.get("AWS_MAX_ATTEMPTS", "")
        super().__init__(max_attempts=max(int(told), 1) if told.isdecimal() else ATTEMPTS)


def region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def endpoint() -> str | None:
    """Where the server is; None for Amazon's own."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def filesystem() -> fs.S3FileSystem:
    """A client. What is smaller than a part of an upload goes up in one request, when it is closed."""
    return fs.S3FileSystem(
        region=region(),
        endpoint_override=endpoint(),
        connect_timeout=CONNECT_SECONDS,
        request_timeout=REQUEST_SECONDS,
        retry_strategy=Retries(),
        allow_delayed_open=True,
    )


def iceberg_properties() -> dict[str, str]:
    """The same for pyiceberg's own client."""
    found = {
        "s3.region": region(),
        "s3.endpoint": endpoint(),
        "s3.connect-timeout": str(CONNECT_SECONDS),
        "s3.request-timeout": str(REQUEST_SECONDS),
        "s3.retry-strategy-impl": RETRIES,
    }
    return {name: value for name, value in found.items() if value is not None}


def move(store: fs.S3FileSystem, source: str, target: str) -> None:
    """Give an object another name. It is copied within the server, and seen whole or not at all."""
    if store.get_file_info(source).size <= COPY_BYTES:
        store.move(source, target)
        return
    bucket, _, key = source.partition("/")
    into, _, name = target.partition("/")
    _client().copy({"Bucket": bucket, "Key": key}, into, name)
    store.delete_file(source)


def _client() -> Any:
    import boto3

    return boto3.client("s3", region_name=region(), endpoint_url=endpoint())


def said(error: OSError) -> str | None:
    """What the server or the way to it refused, as S3 calls it; None where the error is of something else. Nothing of
    the message but its code is kept: it may quote what the server answered."""
    found = _AWS.search(str(error))
    if found is None:
        return None
    code, status, operation = found.groups()
    return f"{code}{f' {status}' if status else ''} during {operation}"
