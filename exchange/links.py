"""URLs to single files: an object store's own, presigned, or the exchange's with a pass in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from exchange.access import Access
from exchange.accounts import Session
from exchange.delta.actions import Link
from exchange.desk import Desk
from exchange.passes import URL_LIVES, issue
from lake import s3, store
from lake.shown import Plain, key_of
from lake.tables import Tables

SIGNED: Final = "X-Amz-Signature"
"""The name of the pass in a URL: readers by delta-kernel know by it that a URL is to be fetched as it is."""


@dataclass(frozen=True)
class Links:
    """What makes links for one caller. `url` is the exchange's own address."""

    desk: Desk
    tables: Tables
    session: Session
    url: str

    def to(self, right: Access, plain: Plain) -> Link:
        """Where a file can be fetched for `URL_LIVES`, by whoever has the URL."""
        if not store.is_local(plain.path):
            until = int((self.desk.clock() + URL_LIVES).timestamp())
            return Link(_presigned(plain.path), until)
        key = key_of(self.tables, right.table, plain.path)
        text, until = issue(self.desk, self.session, right, "delta", URL_LIVES, key=key)
        return Link(f"{self.url}/files/{plain.id}.parquet?{SIGNED}={text}", until)


def _presigned(path: str) -> str:
    bucket, _, key = path.removeprefix("s3://").partition("/")
    said = {"Bucket": bucket, "Key": key}
    lives = int(URL_LIVES.total_seconds())
    return str(_client().generate_presigned_url("get_object", Params=said, ExpiresIn=lives))


def _client() -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=s3.endpoint(),
        region_name=s3.region(),
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
