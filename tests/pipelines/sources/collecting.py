"""Collecting a whole table, whatever its columns."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq

from lake.records import Landed
from pipelines.collect import collect
from schemas.settings import Settings
from tests.pipelines.building import batch_of, context_of, entry_of
from tests.pipelines.sources.conftest import Department


def collect_table(settings: Settings, url: str, table: str, columns: list[str], **source: object) -> Landed:
    """Land these columns of a table."""
    fields = {f"f{number}": {"type": "string", "source": name} for number, name in enumerate(columns)}
    entry = entry_of("police.t", {"kind": "database", "connection": "c", "table": table} | source, fields)
    return collect(context_of(settings, [entry], {"c": url}), entry, batch_of(entry.id))


def column(
    settings: Settings, department: Department, kind: str, *values: str, table: str = "t"
) -> pa.ChunkedArray:
    """What a column of this type with these SQL values and a NULL lands as, in the order of insertion. `v` is a view of
    the table `t`."""
    department.run(
        f"CREATE TABLE t (n INTEGER, v {kind})",
        *(f"INSERT INTO t VALUES ({n}, {value})" for n, value in enumerate((*values, "NULL"))),
        "CREATE VIEW v AS SELECT * FROM t",
    )
    landed = collect_table(settings, department.url, table, ["n", "v"])
    assert landed.counted == landed.rows == len(values) + 1
    return pq.read_table(landed.files[0].path).sort_by("n")["v"]


class Proxy:
    """Forwards one TCP port; cuts every connection after `limit` bytes of the server's answer."""

    def __init__(self, port: int, limit: int) -> None:
        self._target, self._limit = port, limit
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._pump, args=(client, server, None), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, self._limit), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        passed = 0
        with suppress(OSError):
            while (data := source.recv(65536)) and (limit is None or passed < limit):
                target.sendall(data)
                passed += len(data)
        for end in (source, target):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
                end.close()
