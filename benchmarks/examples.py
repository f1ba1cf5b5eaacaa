"""Runs the example pipelines on real data and writes their tables.

    python benchmarks/examples.py --data FOLDER_OF_DATA_SETS [--only hm-week ...]

The folder holds ``ml-100k``, ``hm-week``, ``amazon-beauty``, ``ctr-ml-1m`` and (made if absent) ``synth``. Runs are
kept in ``--runs``, so that an interrupted benchmark goes on; results go to ``benchmarks/results/examples.md``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EXAMPLES = {
    "movielens-posters": "ml-100k",
    "hm-week": "hm-week",
    "beauty": "amazon-beauty",
    "ctr": "ctr-ml-1m",
    "synthetic": "synth",
}


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/examples"))
    parser.add_argument("--only", nargs="*", choices=EXAMPLES, default=list(EXAMPLES))
    parser.add_argument("--machine", default=platform.processor() or platform.machine())
    args = parser.parse_args()
    parts = [
        "# The example pipelines\n\n"
        f"`python benchmarks/examples.py --data DATA`, seed 0, {args.machine}, Python {platform.python_version()}, "
        f"{datetime.date.today()}.\n\nTest part, 95 % bootstrap intervals over users; differences are paired, p-values "
        "Holm-corrected within a run. Components are fitted on the training part; what is chosen is chosen on "
        "validation.\n"
    ]
    for name in args.only:
        data = args.data / EXAMPLES[name]
        if name == "synthetic" and not data.exists():
            reasonrec("data", "synth", "--out", str(data))
        out = args.runs / name
        reasonrec(
            "run", str(HERE.parent / "examples" / f"{name}.toml"), "--set", f"data.path={data}", "--out", str(out)
        )
        parts.append(section(name, json.loads((out / "metrics.json").read_text(encoding="utf-8"))))
        print(parts[-1])
    (HERE / "results" / "examples.md").write_text("\n".join(parts), encoding="utf-8")


def reasonrec(*args: str) -> None:
    """Run the command line; stop if it fails."""
    subprocess.run([sys.executable, "-m", "reasonrec_core", *args], check=True)


def section(name: str, metrics: dict[str, Any]) -> str:
    """One run as Markdown."""
    facts = metrics["dataset"]
    wanted = (
        "AUC",
        "UAUC",
        "LogLoss",
        "Brier",
        "ECE",
        "HR@5",
        "NDCG@5",
        "HR@10",
        "NDCG@10",
        "HR@10[uni99]",
        "NDCG@10[uni99]",
    )
    names = [n for n in wanted if any(n in values for values in metrics["systems"].values())]
    lines = [
        f"## {name}\n",
        f"{facts['users']:,} users, {facts['items']:,} items, {facts['interactions']:,} interactions. "
        f"{metrics['protocol']}.\n",
        f"| system | {' | '.join(names)} | fit, s |",
        "|---" * (len(names) + 2) + "|",
    ]
    for label, values in metrics["systems"].items():
        cells = [cell(values.get(n)) for n in names]
        seconds = metrics["seconds"]["fit"].get(label)
        lines.append(f"| {label} | {' | '.join(cells)} | {'' if seconds is None else f'{seconds:.1f}'} |")
    lines.append("")
    for row in metrics["comparisons"]:
        if row["metric"] in {"NDCG@10", "AUC"}:
            interval = f"{row['low']:+.4f} to {row['high']:+.4f}"
            pair, p = f"{row['a']} - {row['b']}", row["p_corrected"]
            lines.append(f"- {row['metric']}, {pair}: {row['difference']:+.4f} ({interval}), p {p:.4f}")
    delegation = metrics.get("delegation")
    if delegation and "latency" in delegation:
        mean = {k: f"{1000 * v['mean']:.2f}" for k, v in delegation["latency"].items()}
        lines.append(
            f"- Delegated on test: {delegation['share']:.3f}; latency ratio {delegation['latency_ratio']:.2f} "
            f"(one request at a time, ms: "
            f"routed {mean['routed']}, policy {mean['policy']}, delegate {mean['delegate']})."
        )
    if "calibration" in metrics:
        lines.append(f"- ECE of the stated confidence: {metrics['calibration']['ece']:.4f}.")
    for each in metrics["observe"]:
        counts = f"{each['present']:,} items, {each['missing']} missing, {each['refused']} refused"
        lines.append(f"- {each['name']} ({each['encoder']}): {counts}.")
    return "\n".join(lines) + "\n"


def cell(value: dict[str, float] | None) -> str:
    """A value with its interval."""
    return "" if value is None else f"{value['value']:.4f} ({value['low']:.4f} to {value['high']:.4f})"


if __name__ == "__main__":
    main()
