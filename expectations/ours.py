"""Our own expectations: importing this module registers them with Great Expectations."""

from __future__ import annotations

from expectations import batches, columns, duckdb_metrics, identifiers, references

__all__ = ["batches", "columns", "duckdb_metrics", "identifiers", "references"]
