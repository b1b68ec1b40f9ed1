"""DuckDB reads a lake on S3 through the same client as everything else, without an extension to install."""

from __future__ import annotations

from fsspec.implementations.arrow import ArrowFSWrapper

from lake import store


class _S3(ArrowFSWrapper):
    """fsspec's face of pyarrow's S3 client, under the scheme that DuckDB asks for."""

    protocol = "s3"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix("s3://")


def s3_for_duckdb() -> ArrowFSWrapper:
    """To be registered with a connection: `connection.register_filesystem(s3_for_duckdb())`."""
    filesystem, _ = store.filesystem("s3://")
    return _S3(filesystem)
