"""What ``goal = "free"`` promised in finished runs and what came of it, read from what they measured; nothing is run.

    python benchmarks/acting_runs.py RUN --name "hm-week, student of three teachers"

Each run is a row of benchmarks/results/acting/runs.free.json, which ``benchmarks/acting.py table`` shows: quality on
validation and test, relative to the policy; the time of a request and of batches, relative to the policy's. Both
with 95 % intervals.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

KEPT = Path(__file__).parent / "results" / "acting" / "runs.free.json"
STUDENT = "distilled"


def read_run(path: Path) -> dict[str, Any]:
    """One row.

    Args:
        path: the run folder, whose router has the goal ``free``.
    """
    metrics = json.loads((path / "metrics.json").read_text())
    policy, validation = metrics["roles"]["policy"], metrics["routing"]["validation"]
    goal, inferior, latency = validation["goal"], metrics["delegation_curve"]["not_inferior"], metrics["delegation"]
    batches = {
        "validation": goal["batches"],
        "test": {str(metrics["costs"]["batch"]): metrics["costs"]["batch_change"]},
    }
    on_test = {label: metrics["systems"][label]["NDCG@10"]["value"] for label in (policy, STUDENT)}
    return {
        "date": json.loads((path / "environment.json").read_text())["date"][:10],
        "seed": metrics["seed"],
        "policy": {"validation": validation["quality"]["policy"], "test": on_test[policy]},
        "student": {"validation": validation["quality"][STUDENT], "test": on_test[STUDENT]},
        "share": {"validation": goal["share"], "test": latency["share"]},
        "quality": {"validation": inferior["validation"], "test": inferior["test"], "confirmed": inferior["confirmed"]},
        "one": {"validation": goal["time"], "test": latency["time"]},
        "timed share": latency["latency"]["replace"]["n"] / latency["latency"]["routed"]["n"],
        "batches": batches,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--name", required=True, help="what the table calls it: data and student")
    given = parser.parse_args()
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"found": {}}
    row = read_run(given.run)
    kept["found"][f"{given.name}, {row['date']}, seed {row['seed']}"] = row
    kept["date"] = max(row["date"] for row in kept["found"].values())
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
