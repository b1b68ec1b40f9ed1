"""The verdict on one check of one batch: what `expectations` finds and `lake` keeps."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from schemas.model import Dimension, OnFail


class CheckResult(BaseModel):
    """Counts only, never a value of the data, but for `observed`: what a check of a whole column or table
    saw, and only where no field graded 3 or more could show in it.

    A row-level check evaluates the rows that it does not leave out (NULLs, its row condition) and counts
    those that failed; `success` is the library's, by `mostly`. Any other check evaluates one thing, and it
    holds or it does not: `evaluated` is 1. So GB/T 36344's A/B is (evaluated - failed) / evaluated for
    either.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    expect: str
    column: str | None
    arguments: dict[str, Any]
    dimension: Dimension
    on_fail: OnFail
    row_level: bool
    success: bool
    evaluated: int
    failed: int
    observed: str | None = None
