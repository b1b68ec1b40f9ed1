"""Row-level metrics that Great Expectations cannot compute on DuckDB, each as one SQL condition."""
