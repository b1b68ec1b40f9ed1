"""What no reader of PostgreSQL is faster than: the rows as the server sends them, received by libpq and dropped.

They come as `COPY … (FORMAT binary)`, whose values nobody looks at; nothing is decoded, kept or written.
"""

from __future__ import annotations

import psycopg

from benchmarks.contenders.marks import Marks, job


def receive(url: str, table: str) -> int:
    """Bytes received. Each message is a row: libpq gives them one by one."""
    with psycopg.connect(url) as connection:
        connection.pgconn.exec_(f"COPY {table} TO STDOUT (FORMAT binary)".encode())
        take, received = connection.pgconn.get_copy_data, 0
        while (size := take(0)[0]) > 0:
            received += size
        while connection.pgconn.get_result() is not None:
            pass
        return received


def main() -> None:
    work, marks = job(), Marks()
    received = receive(work["place"], work["table"])
    marks.done("receive")
    marks.report(received=received)


if __name__ == "__main__":
    main()
