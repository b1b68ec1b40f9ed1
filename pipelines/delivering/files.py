"""As files below a folder or a bucket's prefix: `<place>/<snapshot>/data.parquet`, certificate, and manifest last.

A delivery is there once its `manifest.json` is: it names every file with its size, digest (SHA-256) and rows. What a
killed one leaves has no manifest, and is written over by the next try.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from pyarrow import fs

from exchange.receipts import Counts
from lake import parquet, s3, store
from pipelines.delivering import failures
from pipelines.delivering.failures import fail
from pipelines.delivering.order import Order, Told
from pipelines.downloads.delimited import CsvWriter
from pipelines.sources.places import Place, place
from schemas.errors import DeliveryUnfit

MANIFEST: Final = "manifest.json"
BLOCK: Final = 1 << 20


def leave(url: str, order: Order, form: str, keep: int, certificate: bytes) -> tuple[Counts, str]:
    """Deliver; the counts, and the manifest's digest. Rows are counted, and digests taken, of what lies there then."""
    with _our_errors(order):
        where, told = place(url), Told()
        folder = f"{where.root}/{order.place}/{order.snapshot}"
        standing = _manifest(where, folder)
        if standing is None or standing["delivery"] != order.name:
            _refuse_strangers(where, folder, order)
            written = [
                _written(where, folder, f"data.{form}", _of_rows(order, form, told)),
                _written(where, folder, "certificate.json", lambda out: out.write(certificate)),
            ]
            order.still()
            said = {
                "delivery": order.name,
                "snapshot": str(order.snapshot),
                "rows": told.rows,
                "columns": {field.name: str(field.type) for field in order.schema},
                "files": written,
            }
            text = json.dumps(said, ensure_ascii=False, indent=1).encode()
            _written(where, folder, MANIFEST, lambda out: out.write(text))
        counts, digest = _counted(where, folder, order, told)
        _sweep(where, order, keep)
    return counts, digest


def _of_rows(order: Order, form: str, told: Told) -> Callable[[store.Digested], object]:
    """What writes the rows in a format as they come. CSV is for people, as the downloads are; Parquet is exact."""

    def csv(out: store.Digested) -> None:
        with CsvWriter(out, order.schema) as writer:
            for batch in told.passing(order.whole()):
                writer.write_batch(batch)

    def exact(out: store.Digested) -> None:
        with parquet.Writer(out, order.schema) as writer:
            for table in store.row_groups(told.passing(order.whole()), order.schema):
                writer.write_table(table)

    return csv if form == "csv" else exact


# ── one file ──────────────────────────────────────────────────────────────────────────────────────────────


def _written(
    where: Place, folder: str, name: str, write: Callable[[store.Digested], object]
) -> dict[str, Any]:
    """Write a file so that it is there whole, and say what was written."""
    local = isinstance(where.system, fs.LocalFileSystem)
    path = f"{folder}/{name}"
    hidden = f"{folder}/.{name}.{uuid.uuid4().hex[:8]}.tmp" if local else path
    if local:
        _make_folder(Path(where.root), Path(folder))
    try:
        with (
            where.system.open_output_stream(hidden, compression=None) as stream,
            store.Digested(stream) as passed,
        ):
            write(passed)
        if local:
            _settle(Path(hidden), Path(where.root))
            where.system.move(hidden, path)
    except BaseException:
        if local:
            with suppress(OSError):
                where.system.delete_file(hidden)
        raise
    return {"name": name, "bytes": passed.size, "sha256": passed.sha256}


def _make_folder(root: Path, folder: Path) -> None:
    """The folder, as open as the connection's own is: the recipient reads there. DeliveryUnfit where the connection's
    folder is not there, or a link leads out of it."""
    if not root.is_dir():
        raise DeliveryUnfit(
            "the connection's folder is not there",
            next_step="make it, readable to its department; then retry",
        )
    if not folder.resolve().is_relative_to(root.resolve()):
        raise DeliveryUnfit(
            "a symbolic link leads out of the connection's folder", next_step="remove the link"
        )
    for each in reversed((folder, *folder.parents)):
        if each.is_relative_to(root) and not each.exists():
            each.mkdir()
            each.chmod(root.stat().st_mode & 0o7777)


def _settle(path: Path, root: Path) -> None:
    with path.open("rb") as file:
        os.fchmod(file.fileno(), root.stat().st_mode & 0o666)
        os.fsync(file.fileno())


# ── what lies there ───────────────────────────────────────────────────────────────────────────────────────


def _manifest(where: Place, folder: str) -> dict[str, Any] | None:
    try:
        with where.system.open_input_stream(f"{folder}/{MANIFEST}", compression=None) as stream:
            found = json.loads(stream.read())
    except FileNotFoundError:
        return None
    except ValueError:
        return {"delivery": ""}
    return found if isinstance(found, dict) and "delivery" in found else {"delivery": ""}


def _refuse_strangers(where: Place, folder: str, order: Order) -> None:
    """The place is one delivery's: another's files are not written over, nor removed later."""
    root = f"{where.root}/{order.place}"
    for each in (folder, *(path for _, path in _delivered(where, root))):
        found = _manifest(where, each)
        if found is not None and found["delivery"] != order.name:
            raise DeliveryUnfit(
                f"{order.place}: the folder holds another delivery's files",
                next_step="empty it, then `xuanwu deliveries retry`; or declare another folder",
            )


def _counted(where: Place, folder: str, order: Order, told: Told) -> tuple[Counts, str]:
    """Read again what the manifest names. DeliveryUnfit where a file is not as it says."""
    said = _manifest(where, folder) or {}
    rows = 0
    for each in said["files"]:
        path = f"{folder}/{each['name']}"
        if _digest(where, path) != each["sha256"]:
            raise DeliveryUnfit(
                f"{order.place}/{order.snapshot}/{each['name']} is not what was delivered",
                next_step=f"remove the folder {order.snapshot}, then `xuanwu deliveries retry`",
            )
        rows += _rows(where, path)
    digest = _digest(where, f"{folder}/{MANIFEST}")
    return Counts(order.rows, told.rows, rows, inserted=told.rows), digest


def _digest(where: Place, path: str) -> str:
    digest = hashlib.sha256()
    try:
        with where.system.open_input_stream(path, compression=None) as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
    except FileNotFoundError:
        return ""
    return digest.hexdigest()


def _rows(where: Place, path: str) -> int:
    if path.endswith(".parquet"):
        with where.system.open_input_file(path) as file:
            return int(pq.ParquetFile(file).metadata.num_rows)
    if not path.endswith(".csv"):
        return 0
    parsing = pacsv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
    with where.system.open_input_stream(path, compression=None) as stream:
        names = pacsv.open_csv(stream, parse_options=parsing).schema.names
    texts = pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    with where.system.open_input_stream(path, compression=None) as stream:
        return sum(
            batch.num_rows for batch in pacsv.open_csv(stream, parse_options=parsing, convert_options=texts)
        )


def _delivered(where: Place, root: str) -> list[tuple[datetime, str]]:
    """When each delivery below a place was complete, and its folder; the newest last."""
    found = where.system.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
    manifests = [info for info in found if info.path.removeprefix(f"{root}/").count("/") == 1]
    return sorted(
        (info.mtime, info.path.rpartition("/")[0]) for info in manifests if info.base_name == MANIFEST
    )


def _sweep(where: Place, order: Order, keep: int) -> None:
    """Remove the oldest deliveries beyond those that are kept: the manifest first, so that none is there in part."""
    own = f"{where.root}/{order.place}/{order.snapshot}"
    older = [path for _, path in _delivered(where, f"{where.root}/{order.place}") if path != own]
    for folder in older[: max(0, len(older) + 1 - keep)]:
        found = _manifest(where, folder)
        if found and found["delivery"] == order.name:
            where.system.delete_file(f"{folder}/{MANIFEST}")
            where.system.delete_dir(folder)


@contextmanager
def _our_errors(order: Order) -> Iterator[None]:
    """An object store's message may quote what it was sent: its code alone is told."""
    try:
        yield
    except OSError as error:
        code = s3.said(error)
        if code and (
            "ACCESS_DENIED" in code or "INVALID_ACCESS_KEY" in code or "SIGNATURE" in code or "403" in code
        ):
            fail(order.place, failures.REFUSED)
        if isinstance(error, PermissionError):
            fail(order.place, failures.DENIED)
        fail(order.place, failures.unknown(code or os.strerror(error.errno or 0) or type(error).__name__))
