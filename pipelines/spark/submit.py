"""What spark-submit runs for a task of Airflow: one stage of one batch, on the cluster that it was submitted to.

    spark-submit pipelines/spark/submit.py STAGE BATCH PART ANSWER

The record lies in the lake afterwards. An error of ours is left in the file ANSWER, so that whoever submitted raises
the very same, and not what a process's exit code can say.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from lake.batch import Batch
from pipelines.context import open_context
from pipelines.publishing.granting import with_grants
from pipelines.stages import run_stage
from schemas.errors import XuanwuError


def main(arguments: list[str]) -> int:
    stage, batch, part, answer = arguments
    parsed = Batch.model_validate_json(batch)
    try:
        ctx = with_grants(open_context(datasets=[parsed.dataset]), parsed.dataset)
        run_stage(ctx, stage, parsed, part)  # type: ignore[arg-type]
    except XuanwuError as error:
        Path(answer).write_bytes(pickle.dumps(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
