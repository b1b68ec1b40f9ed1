"""Names of what a check finds in its DuckDB connection beside the batch: code lists and other datasets' keys."""

from __future__ import annotations

BATCH = "batch"
"""The standardised rows of the batch, with `_seq`."""


def codes_table(name: str) -> str:
    """A code list of the catalogue: one column `code`."""
    return f"codes {name}"


def dataset_view(dataset: str) -> str:
    """The curated rows of another dataset."""
    return f"dataset {dataset}"
