"""What people read of the lake: the quality report for auditors, and the documents of a de-identification's evaluation.

HTML pages, Chinese with English beside it, that need nothing from elsewhere.
"""

from pipelines.report.evaluation import write_evaluations
from pipelines.report.page import write_report

__all__ = ["write_evaluations", "write_report"]
