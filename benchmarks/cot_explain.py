"""Explanations that the language model of `cot` writes, beside consensus and what is retrieved from reviews.

    python benchmarks/cot_explain.py --data ../shared/data/reviews-instruments --requests 300 --minutes 15

A run's protocol: leave-one-out, everybody reads the reviews of the training part alone, so figures of consensus are
lower than those of `reasonrec explanations`. All systems answer the same requests, so many of the test part (or with
``--part valid``), drawn once. Written texts come from SmolLM2-135M as it is, and tuned for ``--minutes`` on the
training part's reviews; both are told what reviews say (how many, stars, aspects). Answers are kept under ``--work``
and a tuning goes on where it was. BLEU-4 of a corpus, ROUGE-L, claims verified; differences are paired by request.
Writes benchmarks/results/cot_explain.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from progress import tell
from reasonrec_explain.evaluation import ExplanationCases, SystemScores, collect_cases, explain_by_baselines, judge
from reasonrec_explain.metrics import compare
from threadpoolctl import threadpool_limits

from reasonrec_core.components import FitData, Kind
from reasonrec_core.config import check_config
from reasonrec_core.data import TRAIN
from reasonrec_core.data.reviews import ReviewCases, make_review_cases
from reasonrec_core.pipeline.prepare import Prepared, prepare
from reasonrec_core.pipeline.run_folder import RunFolder
from reasonrec_core.registry import Registry

RESULTS = Path(__file__).parent / "results" / "cot_explain.md"
CONSENSUS, UNTUNED, TUNED = "consensus", "written, untuned", "written, tuned"
BACKBONE: dict[str, Any] = {"generation": "int8"}
SHORT: dict[str, Any] = {"history": 3, "history_text": "title"}
NOBODY: dict[str, Any] = {"delegate": "popularity"}
"""Items are named in every request, so it does not matter who would propose some."""
FORMS: dict[str, dict[str, Any]] = {
    CONSENSUS: {"explanations": "consensus"},
    UNTUNED: {"backbone": BACKBONE, "prompt": SHORT, "shortlist": NOBODY, "explanation": 40},
    TUNED: {
        "backbone": BACKBONE,
        "prompt": SHORT,
        "shortlist": NOBODY,
        "explanation": 40,
        "tuning": {
            "steps": 20_000,
            "batch_tokens": 1536,
            "learning_rate": 1e-3,
            "weights": {"answer": 1.0, "recommendation": 0.0},
            "shares": {"sequential": 0.0, "direct": 0.0, "ctr": 0.0, "explain": 1.0},
            "curriculum": {"kind": "none"},
        },
    },
}
"""Settings of the policy."""


def main() -> None:
    """Answer, judge, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/reviews-instruments"))
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "reasonrec" / "cot-explain")
    parser.add_argument("--part", choices=["valid", "test"], default="test")
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=15.0, help="bound of the tuning")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with threadpool_limits(options.threads):
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """All systems on the same requests."""
    import torch

    torch.set_num_threads(options.threads)
    tree = {
        "data": {"path": str(options.data)},
        "policy": {"name": "cot"},
        "evaluate": {"tasks": ["explain"]},
        "seed": options.seed,
    }
    config = check_config(tree, "benchmark")
    registry = Registry.discover()
    with RunFolder.create(options.work / "run", config) as run:
        prepared = prepare(config, registry, run, lambda *_: None)
    cases = make_review_cases(prepared.dataset, prepared.split, options.part)
    rows = np.sort(np.random.default_rng(options.seed).permutation(len(cases))[: options.requests])
    said, seconds = {}, {}
    for name, settings in FORMS.items():
        said[name], seconds[name] = add_answer(name, settings, registry, prepared, cases, rows, options)
    asked = collect_cases(prepared.dataset, prepared.split, options.part, readable=(TRAIN,))
    every = explain_by_baselines(asked, prepared.dataset, prepared.split)
    said |= {name: [texts[row] for row in rows] for name, texts in every.items()}
    write(judge(taken(asked, rows), said), said, seconds, asked, rows, options)


def add_answer(
    name: str,
    settings: dict[str, Any],
    registry: Registry,
    prepared: Prepared,
    cases: ReviewCases,
    rows: np.ndarray,
    options: argparse.Namespace,
) -> tuple[list[str], dict[str, float]]:
    """The texts of a form, and the seconds of fitting and answering."""
    if "tuning" in settings:
        settings = {**settings, "tuning": {**settings["tuning"], "minutes": options.minutes}}
    kept, key = options.work / f"{name}.json", json.dumps([settings, options.part, rows.tolist(), options.seed])
    if kept.exists() and (found := json.loads(kept.read_text()))["key"] == key:
        return found["texts"], found["seconds"]
    policy: Any = registry.create(Kind.POLICY, "cot", settings)
    workdir = options.work if "tuning" in settings else None
    data: FitData = replace(
        prepared.fit_data("work"),
        progress=tell(),
        workdir=workdir,
        delegate=lambda label: registry.create(Kind.DELEGATE, label, {}),
    )
    started = time.perf_counter()
    policy.fit(data)
    fitted = time.perf_counter()
    queries, texts, progress = cases.queries.take(rows), [], tell()
    for _, piece in queries.chunks(32):
        texts += policy.deliberate(piece, data.observation).text
        progress(len(texts), len(rows), name)
    seconds = {"fit": fitted - started, "answer": time.perf_counter() - fitted}
    kept.write_text(json.dumps({"key": key, "texts": texts, "seconds": seconds, "report": dict(policy.report)}))
    return texts, seconds


def taken(asked: ExplanationCases, rows: np.ndarray) -> ExplanationCases:
    """Some of the requests."""
    cases = ReviewCases(asked.cases.queries.take(rows), asked.cases.reviews.take(rows))
    parts: dict[str, Any] = {
        name: tuple(getattr(asked, name)[row] for row in rows) for name in ("texts", "hints", "evidence")
    }
    return replace(asked, cases=cases, **parts)


def write(
    judged: dict[str, SystemScores],
    said: dict[str, list[str]],
    seconds: dict[str, dict[str, float]],
    asked: ExplanationCases,
    rows: np.ndarray,
    options: argparse.Namespace,
) -> None:
    """The results page."""
    lines = []
    for name, each in judged.items():
        total = each.claims[:, 1].sum()
        share = f"{each.claims[:, 0].sum() / total:.1%}" if total else "none made"
        lines.append(
            f"| {name} | {each.overlap.bleu:.3f} | {each.overlap.rouge_l:.2f} | {share} | "
            f"{(each.claims[:, 1] == 0).mean():.1%} | {each.words:.1f} | {len(set(said[name])):,} |"
        )
    between = []
    for name in (UNTUNED, TUNED):
        for other in (each for each in judged if each not in (name, UNTUNED)):
            found = compare(judged[name].overlap, judged[other].overlap, seed=options.seed)
            cells = [f"{d.value:+.2f} [{d.low:+.2f}, {d.high:+.2f}]" for d in found.values()]
            between.append(f"| {name} minus {other} | {' | '.join(cells)} |")
    spent = "; ".join(f"{n}: fit {s['fit']:.0f} s, answered {s['answer']:.0f} s" for n, s in seconds.items())
    examples = [
        f"- {', '.join(f'{name}: {said[name][at]!r}' for name in FORMS)}; written by the user: {asked.texts[row]!r}"
        for at, row in enumerate(rows[:4])
    ]
    lead = " ".join(__doc__.split("\n\n")[2].split("Answers are kept")[0].split())
    RESULTS.write_text(
        "\n".join(
            [
                "# Explanations written by the language model",
                "",
                f"`python benchmarks/cot_explain.py --requests {len(rows)} --minutes {options.minutes:g} --part "
                f"{options.part} --threads {options.threads} --seed {options.seed}`, {date.today()}, Python "
                f"{platform.python_version()}, AMD EPYC, 24 GB, shared with other work.",
                "",
                lead,
                f"{spent}.",
                "",
                f"| {options.part}, {len(rows)} requests | BLEU-4 | ROUGE-L | claims verified | texts that claim "
                "nothing | words | different texts |",
                "|---|---|---|---|---|---|---|",
                *lines,
                "",
                "Paired bootstrap over requests, 95 % intervals:",
                "",
                "| | BLEU-4 | ROUGE-L |",
                "|---|---|---|",
                *between,
                "",
                "The first requests:",
                "",
                *examples,
                "",
            ]
        )
    )
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
