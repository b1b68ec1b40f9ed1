"""What a check finds in its DuckDB connection: the batch, code lists, other datasets, and where failures go.

`pipelines.check` makes the views of Parquet files, `expectations.run` the rest.
"""

from __future__ import annotations

SEQ = "_seq"
BATCH = "batch"
"""View of the batch's standardised rows: the entry's fields, `_seq`, `_file` and `_row`."""
FIELDS = "batch fields"
"""View of the entry's fields alone, for expectations on the table's own form."""
FAILURES = "failures"
"""Table of `number` (the check's, from 1) and `seq`: rows that failed a check that stops or sets aside."""


def codes_table(name: str) -> str:
    """A code list of the catalogue: one column `code`."""
    return f"codes {name}"


def dataset_view(dataset: str) -> str:
    """The curated rows of another dataset."""
    return f"dataset {dataset}"


def refused_table(kernel: str) -> str:
    """Values of the batch that a kernel of `schemas.identifiers` does not take: one column `value`."""
    return f"refused by {kernel}"
