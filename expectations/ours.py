"""Our own expectations: importing this module registers them with Great Expectations."""

from __future__ import annotations

from expectations import batches, duckdb_metrics, identifiers, references

__all__ = ["batches", "duckdb_metrics", "identifiers", "references"]
