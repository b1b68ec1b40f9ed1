"""Law 8: the whole way, the status and the report, in a process that notes every attempt to reach another machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sample.server import serving
from schemas.settings import Settings
from tests.city.running import City

GUARD = """\
import ipaddress, sys

CALLS = []

def local(host):
    name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"

def guard(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if not local(host):
        CALLS.append(f"{event} {host}")
        raise OSError(f"{host} is another machine")

sys.addaudithook(guard)
"""
COMMAND = """
from pipelines.cli import main
sys.argv = ["xuanwu", *ARGUMENTS]
try:
    main()
finally:
    print("CALLS", CALLS)
"""
RED = """
import urllib.request
try:
    urllib.request.urlopen("http://telemetry.example.com/", timeout=2)
except OSError:
    pass
print("CALLS", CALLS)
"""


def guarded(code: str, env: dict[str, str]) -> str:
    """Run under the guard; the line of calls at its end."""
    done = subprocess.run(
        [sys.executable, "-c", GUARD + code],
        env=env,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    root = tmp_path_factory.mktemp("offline")
    made = City(root / "sources", Settings(home=root / "home"), 60)
    made.write(1)
    return made


def test_no_call_to_another_machine(city: City) -> None:
    """A database, an API on loopback and downloads; the proxies of this machine are not asked either."""
    datasets = ["market_regulation.enterprise", "ecology.air_quality"]
    with serving(city.folder) as served:
        city.connections |= served
        for arguments in (["run", *datasets, "--date", "2026-03-02"], ["status"], ["report"]):
            assert guarded(f"ARGUMENTS = {arguments!r}" + COMMAND, city.variables()) == "CALLS []"
    assert (city.settings.home / "report.html").exists()


def test_a_call_would_be_noted(city: City, tmp_path: Path) -> None:
    env = {name: value for name, value in city.variables().items() if "proxy" not in name.lower()}
    assert "telemetry.example.com" in guarded(RED, env)
