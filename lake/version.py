"""Which version of the code wrote something."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def code_version() -> str:
    """The installed version; `source` when running from a checkout that was never installed."""
    try:
        return version("xuanwu")
    except PackageNotFoundError:
        return "source"
