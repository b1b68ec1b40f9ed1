"""anjana's k-anonymity on a CSV file, in an environment of its own (requirements-anonymity.txt).

python -m benchmarks.contenders.anjana_k TASK.json    {"rows", "hierarchies", "k", "percent", "answer", "told"}
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from anjana.anonymity import k_anonymity


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    frame = pd.read_csv(task["rows"], dtype=str)
    hierarchies = {
        name: {level: np.array(values) for level, values in enumerate(levels)}
        for name, levels in task["hierarchies"].items()
    }
    began = time.perf_counter()
    made = k_anonymity(frame, [], list(hierarchies), task["k"], task["percent"], hierarchies)
    seconds = time.perf_counter() - began
    made[list(hierarchies)].astype(str).to_csv(task["answer"], index=False)
    Path(task["told"]).write_text(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
