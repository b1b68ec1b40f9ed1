"""The peers' environments, made by uv from hash-pinned requirements: they share no package with Xuanwu's own."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent
PACKAGES = ("schemas", "lake", "expectations", "pipelines")
"""What a contender of ours imports."""


def environment(name: str, requirements: str) -> Path:
    """The Python of `.venv-<name>`, made or renewed where the requirements are others than it was made from."""
    folder, pinned = ROOT / f".venv-{name}", HERE / requirements
    python, stamp = folder / "bin" / "python", folder / ".made-of"
    digest = hashlib.sha256(pinned.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return python
    uv = str(Path(sys.executable).parent / "uv")
    print(f"making {folder.name} …", flush=True)
    subprocess.run([uv, "venv", "--quiet", "--clear", str(folder)], check=True)
    install = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--compile-bytecode",
        "--python",
        str(python),
        "--require-hashes",
        "-r",
        str(pinned),
    ]
    subprocess.run(install, check=True)
    stamp.write_text(digest)
    return python


def compiled() -> None:
    """What a machine compiles once: Xuanwu's modules to bytecode, as the peers' are when they are installed, and its
    kernel of SM3 to instructions of this processor."""
    modules = [str(ROOT / name) for name in (*PACKAGES, "benchmarks")]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *modules], check=True)
    subprocess.run([sys.executable, "-c", "import pipelines.masks.sm3"], cwd=ROOT, check=True)


def java() -> str | None:
    """The version of the Java that Spark would run on, or None."""
    if shutil.which("java") is None:
        return None
    told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    return told.stderr.splitlines()[0] if told.returncode == 0 and told.stderr else None
