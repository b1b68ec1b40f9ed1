"""The form of a row set aside. It imports no table library: rows are set aside by processes that never see a table."""

from __future__ import annotations

import pyarrow as pa

FAILURE = pa.struct([("field", pa.string()), ("rule", pa.string()), ("expected", pa.string())])
SCHEMA = pa.schema(
    [
        ("batch", pa.string()),
        ("stage", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("failures", pa.list_(FAILURE)),
        ("data", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
    ]
)
"""`row` is the row's number in `file` as a person sees it; `data` is a JSON object; `at` is when it was set aside."""
