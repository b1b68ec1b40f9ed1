"""The clinic of the gates' tests."""

from tests.pipelines.gates.conftest import clinic, town

__all__ = ["clinic", "town"]
