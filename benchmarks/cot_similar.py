"""What users with similar choices add to `cot` on click labels, and what asking them takes.

    python benchmarks/cot_exit.py --data ../shared/data/ctr-ml-1m
    python benchmarks/cot_similar.py --data ../shared/data/ctr-ml-1m
    python benchmarks/cot_similar.py --data ../shared/data/ctr-ml-1m --prompt --steps 450

CoLLM's time split of MovieLens 1M. The tuned model's log odds of yes are those that benchmarks/cot_exit.py left under
``--work``. Weighed with them are how often an item was clicked in training and, or not, how many of the N users whose
training clicks are most like the request's history clicked it (cosines of lightgcn's vectors, fitted to the training
clicks, its start at the graph's singular vectors or learned from nothing). N and the vectors are chosen by the AUC of
the cross-fitted decision on the validation rows; the test file is scored once. Differences are paired by row, users
resampled. Needs reasonrec-cot, -text and -graph. Writes benchmarks/results/cot_similar.md.

With ``--prompt`` another network is tuned like that of benchmarks/cot_exit.py (``--steps``, ``--minutes``, ``--layers``
and ``--exits`` have to be the same), but with prompts that say what the ``--count`` most similar users did. The log
odds of yes of either network are weighed with the items' counts, those of the new one also with the similar users'
clicks; nothing else is chosen, and the test file is scored once. Writes benchmarks/results/cot_similar_prompt.md.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cot_ctr import some
from cot_exit import ask, tune
from ctr import observed
from machine import name_processor
from progress import tell
from reasonrec_cot.answers.fit_fusion import CROSSED
from reasonrec_cot.items.click_counts import ClickCounts
from reasonrec_cot.items.similar_prompt import SimilarDescriber
from reasonrec_cot.items.similar_users import SimilarUsers, gather_evidence
from reasonrec_cot.similar_config import SimilarUsersConfig
from reasonrec_cot.tuning.fusion import fit_click_fusion
from scipy.special import expit
from threadpoolctl import threadpool_limits

from reasonrec_core.components import FitData
from reasonrec_core.data import SplitConfig, make_split, open_or_import
from reasonrec_core.evaluate import compare_all, score_ctr, summarise
from reasonrec_core.types import Cases, Float32, Observation, QueryBatch, Task

RESULTS = Path(__file__).parent / "results" / "cot_similar.md"
PROMPT_RESULTS = RESULTS.with_name("cot_similar_prompt.md")
COUNTS = (3, 10, 30)
WAYS: dict[str, dict[str, Any]] = {"learned": {}, "singular vectors": {"start": "spectral"}}
METRICS = ("AUC", "UAUC", "LogLoss")
WITH, WITHOUT = "with similar users", "without"
PROMPTED, BOTH = "in the prompt", "in the prompt and weighed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ctr-ml-1m"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "reasonrec" / "cot-exit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--prompt", action="store_true", help="tune a network with similar users in the prompt")
    parser.add_argument("--count", type=int, default=10, help="with --prompt: how many users")
    parser.add_argument("--steps", type=int, default=450, help="with --prompt: of tuning")
    parser.add_argument("--minutes", type=float, help="with --prompt: bound of the tuning, by the clock")
    parser.add_argument("--layers", type=int, default=4, help="with --prompt: of the language model, the first so many")
    parser.add_argument("--exits", type=int, nargs="+", default=[1, 2, 3], help="with --prompt: where heads stand")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with threadpool_limits(options.threads):
        (measure_prompt if options.prompt else measure)(options)


def prepare(options: argparse.Namespace) -> tuple[FitData, dict[str, Float32], Cases, Cases]:
    """What is learned from, the log odds that benchmarks/cot_exit.py left, and the rows that they are of."""
    dataset = open_or_import(options.data, options.cache / "bench", seed=options.seed)
    split = make_split(dataset, SplitConfig(kind="predefined", seed=options.seed))
    nothing: Any = None
    fit = observed(
        FitData(dataset.catalog, dataset.n_users, split.train, split.valid, nothing, task=Task.CTR, seed=options.seed),
        options.cache / "bench",
    )
    odds = {part: np.load(options.work / f"{part}.npy")[:, -1].astype(np.float32) for part in ("valid", "test")}
    return fit, odds, some(split.valid, len(odds["valid"])), some(split.test, len(odds["test"]))


def measure(options: argparse.Namespace) -> None:
    """Fit, choose, score, time, write."""
    fit, odds, valid, test = prepare(options)
    counts = ClickCounts.of(fit.train, len(fit.catalog))
    tried: dict[tuple[str, int], tuple[SimilarUsers, float, float]] = {}
    for way, settings in WAYS.items():
        started = time.process_time()
        config = SimilarUsersConfig(settings=settings, count=max(COUNTS))
        found = SimilarUsers.fit(config, fit)
        seconds = time.process_time() - started
        for count in COUNTS:
            fewer = replace(found, config=config.model_copy(update={"count": count}))
            tried[way, count] = (fewer, auc_of(odds["valid"], valid, counts, fewer, fit), seconds)
            print(way, count, tried[way, count][1:], flush=True)
    base = auc_of(odds["valid"], valid, counts, None, fit)
    best = max(tried, key=lambda each: tried[each][1])
    chosen = tried[best][0]
    answers = {
        name: weigh(odds, valid, test, counts, similar, fit) for name, similar in ((WITHOUT, None), (WITH, chosen))
    }
    write(
        options,
        tried,
        best,
        base,
        {name: score_ctr(each, test) for name, each in answers.items()},
        fetch(chosen.look_up, test, fit),
    )


def measure_prompt(options: argparse.Namespace) -> None:
    """Tune with similar users in the prompt, score beside the network without, time, write."""
    fit, odds, valid, test = prepare(options)
    work = options.work / "prompt"
    work.mkdir(parents=True, exist_ok=True)
    config = SimilarUsersConfig(count=options.count, prompt=True)
    policy, spent = tune(options, replace(fit, workdir=work, progress=tell()), {"similar_users": config.model_dump()})
    similar, counts = policy.similar, ClickCounts.of(fit.train, len(fit.catalog))
    assert similar is not None
    parts = {"valid": valid, "test": test}
    found = {
        name: ask(policy, fit, cases, work / f"{name}.npy")[:, -1].astype(np.float32) for name, cases in parts.items()
    }
    answers = {
        WITHOUT: weigh(odds, valid, test, counts, None, fit),
        PROMPTED: weigh(found, valid, test, counts, None, fit),
        BOTH: weigh(found, valid, test, counts, similar, fit),
    }
    scores = {name: score_ctr(each, test) for name, each in answers.items()}

    def describe(batch: QueryBatch, seen: Observation) -> object:
        return SimilarDescriber(similar, seen)(batch)

    training = policy.report["training"]
    about = (
        f"Tuned: {training['steps']} of {options.steps} steps, {spent / 60:.0f} minutes of the processor in this "
        f"sitting, stopped by {training['stopped']}. Test, {len(test)} rows; what similar users did is looked up in "
        f"{fetch(describe, test, fit):.2f} ms for one request alone:"
    )
    lines = [*head_lines(options, " --prompt", 3), about, "", *table_lines(options, scores), ""]
    PROMPT_RESULTS.write_text("\n".join(lines))
    print("\n".join(lines), flush=True)


def auc_of(odds: Float32, valid: Cases, counts: ClickCounts, similar: SimilarUsers | None, fit: FitData) -> float:
    """Of the cross-fitted decision."""
    found = fit_click_fusion(odds, valid, gather_evidence(valid, counts, similar, fit), fit).report["figures"]
    return float(found[CROSSED]["AUC"])


def weigh(
    odds: dict[str, Float32], valid: Cases, test: Cases, counts: ClickCounts, similar: SimilarUsers | None, fit: FitData
) -> Float32:
    """P(click) of the test rows."""
    fitted = fit_click_fusion(odds["valid"], valid, gather_evidence(valid, counts, similar, fit), fit).decision
    assert fitted is not None
    said = {"yes": expit(odds["test"])[:, None].clip(1e-6, 1 - 1e-6).astype(np.float32)}
    said |= gather_evidence(test, counts, similar, fit)
    return fitted(said, np.full(len(test), 0.5, np.float32))


def fetch(look: Callable[[QueryBatch, Observation], object], test: Cases, fit: FitData) -> float:
    """Milliseconds of the processor for one request alone, the median of 200."""
    spent = []
    seen = replace(fit.observation, horizon=np.full(1, 0.5, np.float32))
    for row in range(200):
        single = test.queries.slice(row, row + 1)
        started = time.process_time()
        look(single, seen)
        spent.append(1000 * (time.process_time() - started))
    return float(np.median(spent))


def write(
    options: argparse.Namespace,
    tried: dict[tuple[str, int], tuple[SimilarUsers, float, float]],
    best: tuple[str, int],
    base: float,
    scores: dict[str, Any],
    milliseconds: float,
) -> None:
    """The results page."""
    lines = [
        *head_lines(options, "", 2),
        f"Validation, AUC of the cross-fitted decision; without similar users {base:.4f}:",
        "",
        "| vectors | N | AUC | fitted in |",
        "|---|---|---|---|",
    ]
    for each, (_, auc, seconds) in tried.items():
        mark = "**" if each == best else ""
        lines.append(f"| {mark}{each[0]}{mark} | {each[1]} | {auc:.4f} | {seconds:.0f} s |")
    lines += ["", f"Test; one request alone takes {milliseconds:.2f} ms more:", "", *table_lines(options, scores), ""]
    RESULTS.write_text("\n".join(lines))
    print("\n".join(lines), flush=True)


def head_lines(options: argparse.Namespace, way: str, paragraph: int) -> list[str]:
    """What a page begins with."""
    if options.prompt:
        way += f" --count {options.count} --steps {options.steps} --layers {options.layers}"
        way += f" --minutes {options.minutes:g}" if options.minutes else ""
        way += f" --exits {' '.join(map(str, options.exits))}"
    return [
        f"# Similar users {'in the prompt of' if options.prompt else 'beside'} the cot policy: clicks",
        "",
        f"`python benchmarks/cot_similar.py{way} --threads {options.threads} --seed {options.seed}`, {date.today()}, "
        f"Python {platform.python_version()}, one of two cores of an {name_processor()}, 24 GB, shared "
        "with other work.",
        "",
        " ".join(__doc__.split("\n\n")[paragraph].split("Needs")[0].split("Writes")[0].split()),
        "",
    ]


def table_lines(options: argparse.Namespace, scores: dict[str, Any]) -> list[str]:
    """Metrics of each way, and their differences from none."""
    lines = [f"| | {' | '.join(METRICS)} |", "|---|" + "---|" * len(METRICS)]
    for name, score in scores.items():
        values = summarise(score, seed=options.seed, resamples=1000)
        cells = [f"{values[m]['value']:.4f} ({values[m]['low']:.3f} to {values[m]['high']:.3f})" for m in METRICS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for name in [each for each in scores if each != WITHOUT]:
        made = compare_all({each: scores[each] for each in (name, WITHOUT)}, WITHOUT, METRICS, seed=options.seed)
        cells = [f"{d.difference:+.4f} ({d.low:+.4f} to {d.high:+.4f}), p {d.p:.4f}" for d in made]
        lines.append(f"| {name} minus {WITHOUT} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
