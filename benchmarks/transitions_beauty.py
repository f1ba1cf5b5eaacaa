"""`transitions` on Amazon Beauty against the rule with fixed parameters and against popularity.

    python benchmarks/transitions_beauty.py --data PATH/amazon-beauty

Leave-one-out, full ranking, history masked, ties counted against the system. Fitted on the training part only; the
parameters on validation. At test the history includes the validation item, but no count does.
Writes benchmarks/results/transitions_beauty.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.components import Delegate, FitData, Kind
from reasonrec_core.data import SplitConfig, make_split, open_or_import
from reasonrec_core.evaluate import evaluate_ranking, summarise
from reasonrec_core.registry import Registry
from reasonrec_core.types import Observation

RESULTS = Path(__file__).parent / "results" / "transitions_beauty.md"
METRICS = ("HR@5", "NDCG@5", "HR@10", "NDCG@10")
FIXED = {
    "search": False,
    "window": 8,
    "decay": 0.8,
    "backward": 0.7,
    "source_exponent": 0.5,
    "target_exponent": 0.3,
    "history_decay": 0.7,
    "long_share": 0.0,
}
SYSTEMS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "popularity": ("popularity", {}),
    "transitions, fixed parameters": ("transitions", FIXED),
    "transitions": ("transitions", {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/reasonrec/bench").expanduser())
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dataset = open_or_import(options.data, options.cache, seed=options.seed)
    split = make_split(dataset, SplitConfig(kind="leave-one-out", seed=options.seed))
    nothing = Observation({}, {}, np.zeros(0, np.float32))
    fit = FitData(dataset.catalog, dataset.n_users, split.train, split.valid, nothing, seed=options.seed)
    lines, chosen = [], ""
    for label, (name, settings) in SYSTEMS.items():
        delegate = Registry.discover().create(Kind.DELEGATE, name, settings)
        assert isinstance(delegate, Delegate)
        started = time.perf_counter()
        delegate.fit(fit)
        seconds = time.perf_counter() - started
        for part, cases in (("valid", split.valid), ("test", split.test)):
            scores = evaluate_ranking(
                partial(delegate.recommend, observation=nothing), cases, (5, 10), n_items=dataset.n_items
            )
            found = summarise(scores, seed=options.seed, resamples=1000)
            low, high = found["NDCG@10"]["low"], found["NDCG@10"]["high"]
            cells = " | ".join(f"{found[m]['value']:.4f}" for m in METRICS)
            lines.append(f"| {label} | {part} | {cells} | {low:.4f} to {high:.4f} | {seconds:.1f} |")
            print(lines[-1], flush=True)
        if name == "transitions" and not settings:
            chosen = f"Chosen on validation: {delegate.parameters}; {delegate.validation}."  # type: ignore[attr-defined]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        "\n".join(
            [
                "# Transitions on Amazon Beauty",
                "",
                f"`python benchmarks/transitions_beauty.py --seed {options.seed}`, {date.today()}, Python "
                f"{platform.python_version()}, {os.cpu_count()} cores of an AMD EPYC, 24 GB, shared with other work "
                "(so seconds are upper bounds).",
                "",
                __doc__.split("\n\n")[2].replace("\n", " ").split(" Writes")[0],
                "",
                f"{dataset.n_users} users, {dataset.n_items} items, {len(split.train)} training interactions, "
                f"{len(split.test)} test queries.",
                "",
                "| system | part | " + " | ".join(METRICS) + " | NDCG@10, 95 % | fit, s |",
                "|---|---|" + "---|" * (len(METRICS) + 2),
                *lines,
                "",
                chosen,
                "Validation figures of the searched system are optimistic: its nine parameters were chosen there.",
                "",
            ]
        )
    )


if __name__ == "__main__":
    main()
