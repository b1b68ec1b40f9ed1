"""The quality report for auditors: one HTML page, Chinese with English beside it, that needs nothing from elsewhere."""

from pipelines.report.page import write_report

__all__ = ["write_report"]
