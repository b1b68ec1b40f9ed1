"""Free text measured: `python -m benchmarks.redaction` writes the tables of docs/redaction.md."""
