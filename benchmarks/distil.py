"""The student `distilled` against its teacher and the run's other delegates: quality, and milliseconds of an answer.

    python benchmarks/distil.py run RUN --name hm-week --seeds 0 1 2   # a fitted run with a policy
    python benchmarks/distil.py run RUN --name hm-week --set '{"links": 0}' --variant "without links" [--test]
    python benchmarks/distil.py table

A student is fitted to the run's policy. Quality is NDCG@10 and recall@50 over the whole catalogue, history masked;
differences are paired by query, means over seeds, bootstrap. Time is the processor time of the answering thread, as
other work on the machine hardly changes it: median of requests of one, and of batches of 256, systems in turn.
Everything is kept in benchmarks/results/distil.json; ``table`` writes distil.md. One thread.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from machine import EARLIER, name_processor
from progress import tell
from reasonrec_distil.teacher import ask_policies

from reasonrec_core.components import Delegate, Kind, ReasoningPolicy
from reasonrec_core.config import load_config
from reasonrec_core.evaluate import evaluate_ranking
from reasonrec_core.io import content_hash, read_json, write_json, write_text
from reasonrec_core.pipeline.prepare import Prepared, prepare
from reasonrec_core.pipeline.run_folder import RunFolder
from reasonrec_core.registry import Registry
from reasonrec_core.types import Observation, QueryBatch, Ranking, Task

RESULTS = Path(__file__).parent / "results"
KEPT = RESULTS / "distil.json"
METRICS = ("NDCG@10", "Recall@50")
TOGETHER, DEPTH = "teachers together", 100
SINGLES, BATCHES, SIZE, WARM_UP = 200, 12, 256, 5
Answer = Callable[[QueryBatch], Ranking]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--name", help="of the data set")
    parser.add_argument("--variant", default="distilled")
    parser.add_argument("--set", type=json.loads, default={}, help="settings of the student, as JSON")
    parser.add_argument("--against", type=json.loads, help="settings of another student to compare with, as JSON")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0], help="none: the run's own student")
    parser.add_argument("--test", action="store_true", help="judge on the test part instead of validation")
    parser.add_argument("--work", type=Path, help="keep fitted students in this folder, and take those that are there")
    options = parser.parse_args()
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}
    if options.what == "table":
        write_text(RESULTS / "distil.md", make_table(kept))
        return
    found = measure(options)
    part = "test" if options.test else "valid"
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}
    kept.setdefault(options.name, {}).setdefault(part, {})[options.variant] = found
    write_json(KEPT, kept)
    print(json.dumps(found, indent=1))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    registry = Registry.discover()
    config = load_config(options.run / "config.toml")
    prepared = prepare(config, registry, RunFolder.open(options.run), tell())
    assert config.policy is not None
    policy = load(prepared, Kind.POLICY, config.policy.label, config.policy.name)
    assert isinstance(policy, ReasoningPolicy)
    answers = {"policy": answer_with_policy(policy, prepared)}
    for each in config.delegates:
        if each.name == "distilled" and options.seeds:
            continue
        delegate = load(prepared, Kind.DELEGATE, each.label, each.name)
        assert isinstance(delegate, Delegate)
        delegate.attach(policy)
        answers["student" if each.name == "distilled" else each.label] = answer_with(delegate, prepared)
        if each.name == "distilled" and delegate.config.policies > 1:
            answers[TOGETHER] = answer_together(policy, delegate.config.policies, each.label, prepared)
    cases = prepared.cases(Task.SEQUENTIAL, "test" if options.test else "valid")
    gains, seconds = dict[str, list[Any]](), []
    for name, answer in answers.items():
        gains[name] = [score(answer, cases, prepared)]
    for seed in options.seeds:
        for name, settings in {"other student": options.against, "student": options.set}.items():
            if settings is not None:
                student, spent = get_student(prepared, policy, settings, seed, options.work)
                answers[name] = answer_with(student, prepared)
                gains.setdefault(name, []).append(score(answers[name], cases, prepared))
        seconds.append(spent)
    times = time_answers(answers, cases.queries)
    systems = {
        name: {
            **{metric: round(float(np.mean([v[metric].mean() for v in values])), 4) for metric in METRICS},
            **times[name],
        }
        for name, values in gains.items()
    }
    return {
        "systems": systems,
        **{
            f"student to {other}": {m: compare(gains["student"], gains[other], m) for m in METRICS}
            for other in ("policy", "other student", TOGETHER)
            if other in gains
        },
        **{
            f"{name} to policy": {m: compare(gains[name], gains["policy"], m) for m in METRICS}
            for name in gains.keys() & {TOGETHER}
        },
        "settings": options.set, "against": options.against, "seeds": options.seeds or [config.seed],
        "fit_seconds": round(float(np.mean(seconds)), 1) if seconds else None,
        "python": platform.python_version(), "date": str(date.today()), "processor": name_processor(),
    }  # fmt: skip


def get_student(
    prepared: Prepared, policy: ReasoningPolicy[Any], settings: dict[str, Any], seed: int, work: Path | None
) -> tuple[Delegate[Any], float]:
    """A fitted student and the processor seconds of its fit; one that lies in ``work`` already is read."""
    key = content_hash(settings, seed, str(prepared.run.path))
    folder = None if work is None else work / key
    if folder is not None and (folder / "seconds.json").is_file():
        kind = prepared.registry.load(Kind.DELEGATE, "distilled")
        return kind.load(folder, prepared.dataset.catalog), float(read_json(folder / "seconds.json"))
    before = time.thread_time()
    student = fit_student(prepared, policy, settings, seed)
    spent = time.thread_time() - before
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        student.save(folder)
        write_json(folder / "seconds.json", spent)
    return student, spent


def fit_student(prepared: Prepared, policy: ReasoningPolicy[Any], settings: dict[str, Any], seed: int) -> Delegate[Any]:
    student = prepared.registry.create(Kind.DELEGATE, "distilled", settings)
    assert isinstance(student, Delegate)
    student.attach(policy)
    student.fit(replace(prepared.fit_data("benchmark-distil"), seed=seed))
    return student


def load(prepared: Prepared, kind: Kind, label: str, name: str) -> Any:
    folder = prepared.run.path / "stages" / f"{kind}-{label}" / "component"
    return prepared.run.load_part(prepared.registry, kind, name, folder, prepared.dataset.catalog)


def observe(prepared: Prepared, batch: QueryBatch) -> Observation:
    return Observation(prepared.items.features, prepared.items.present, prepared.horizon(batch))


def answer_with_policy(policy: ReasoningPolicy[Any], prepared: Prepared) -> Answer:
    def answer(batch: QueryBatch) -> Ranking:
        found = policy.deliberate(batch, observe(prepared, batch)).ranking
        assert found is not None
        return found

    return answer


def answer_together(policy: ReasoningPolicy[Any], count: int, label: str, prepared: Prepared) -> Answer:
    """The mean of the policy's probabilities and of those that the student's other teachers state."""
    folder = prepared.run.path / "stages" / f"{Kind.DELEGATE}-{label}" / "component" / "teachers"
    names = [f"policy-{number}" for number in range(2, count + 1)]
    others = [type(policy).load(folder / name, prepared.dataset.catalog) for name in names]
    ask = ask_policies([policy, *others])

    def answer(batch: QueryBatch) -> Ranking:
        items, mass = ask(replace(batch, k=max(batch.k, DEPTH)), observe(prepared, batch))
        return Ranking(items, np.where(items < 0, np.float32(-np.inf), mass)).head(batch.k)

    return answer


def answer_with(delegate: Delegate[Any], prepared: Prepared) -> Answer:
    return lambda batch: delegate.recommend(batch, observe(prepared, batch))


def score(answer: Answer, cases: Any, prepared: Prepared) -> dict[str, Any]:
    found = evaluate_ranking(answer, cases, (10, 50), n_items=prepared.dataset.n_items)
    return {metric: np.asarray(found.per_query[metric]) for metric in METRICS}


def compare(mine: list[Any], others: list[Any], metric: str, draws: int = 10_000) -> dict[str, float]:
    """The relative difference of means with its paired bootstrap interval over queries."""
    a = np.mean([v[metric] for v in mine], axis=0)
    b = np.mean([v[metric] for v in others], axis=0)
    rng, n = np.random.default_rng(0), len(a)
    ratios = []
    for _ in range(draws // 100):
        rows = rng.integers(0, n, (100, n))
        ratios.append(a[rows].mean(1) / b[rows].mean(1) - 1)
    low, high = np.quantile(np.concatenate(ratios), (0.025, 0.975))
    return {
        "change": round(float(a.mean() / b.mean() - 1), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
    }


def time_answers(answers: dict[str, Answer], queries: QueryBatch) -> dict[str, dict[str, float]]:
    """Median processor milliseconds of one request and of a batch, ten items wanted."""
    queries, order = replace(queries, k=10), np.random.default_rng(0).permutation(len(queries))
    found: dict[str, dict[str, float]] = {name: {} for name in answers}
    for label, size, count in (("one_ms", 1, SINGLES), ("batch_ms", SIZE, BATCHES)):
        spent = np.zeros((count + WARM_UP, len(answers)))
        for turn in range(count + WARM_UP):
            batch = queries.take(order[(turn * size + np.arange(size)) % len(order)])
            for column, answer in enumerate(answers.values()):
                before = time.thread_time()
                answer(batch)
                spent[turn, column] = time.thread_time() - before
        for name, middle in zip(answers, np.median(spent[WARM_UP:], axis=0), strict=True):
            found[name][label] = round(1000 * float(middle), 3)
    return found


HEAD = """# The student `distilled`

`python benchmarks/distil.py run RUN --name NAME --seeds 0 [--test] [--set JSON --variant NAME]`, then `table`. {about}
Two cores, 24 GB, shared with other work: processor time, too, is more than on a quiet machine. *Teachers together* is
the mean of the probabilities of the policy and of those that taught beside it, each fitted from a seed of its own.
*Earlier student*: one weighed mean, vectors that started at random, whole histories with items missing and one added.
*Whole histories, too*: the first one; validation asks about those very histories, so it looked better there than it was
(on test 2.9 % below `chain`). It replaced `chain-reflex`, which asked the policy's own experts. One seed.
"""
COLUMNS = (
    "| system | NDCG@10 | recall@50 | one request, ms | a batch of 256, ms | NDCG@10 against the policy | recall@50 |"
)


def make_table(kept: dict[str, Any]) -> str:
    lines = [HEAD.format(about=" ".join((__doc__ or "").split("\n\n")[2].split()))]
    for name, parts in kept.items():
        for part, variants in parts.items():
            lines += [
                f"## {name}, {'test' if part == 'test' else 'validation'}",
                "",
                COLUMNS,
                "|---|---|---|---|---|---|---|",
            ]
            for variant, found in variants.items():
                for system, values in found["systems"].items():
                    if system == "student" or variant == "distilled":
                        lines.append(make_row(variant, system, found, values))
            lines += [line for variant, found in variants.items() for line in compare_students(variant, found)]
            dates = sorted({found["date"] for found in variants.values()})
            cores = sorted({found.get("processor", EARLIER) for found in variants.values()})
            spent = [f"{name} {found['fit_seconds']:.0f} s" for name, found in variants.items() if found["fit_seconds"]]
            lines += [
                "",
                f"{', '.join(dates)}, {' and '.join(cores)}."
                + f" Processor seconds of fitting: {', '.join(spent)}." * bool(spent),
                "",
            ]
    return "\n".join(lines)


def compare_students(variant: str, found: dict[str, Any]) -> list[str]:
    """How far a student is from another one, where there is one."""
    if not (other := found.get("student to other student")):
        return []
    than = json.dumps(found["against"]) if found["against"] else "the defaults"
    changes = ", ".join("{m} {change:+.1%} ({low:+.1%} to {high:+.1%})".format(m=m, **other[m]) for m in METRICS)
    return ["", f"{variant} against {than}, paired: {changes}."]


def make_row(variant: str, system: str, found: dict[str, Any], values: dict[str, float]) -> str:
    """A line of the table; the student's with its intervals."""
    label, against = system, ["", ""]
    if system == "student":
        label = f"**{variant}**, seed{'s' * (len(found['seeds']) > 1)} {', '.join(map(str, found['seeds']))}"
    if f"{system} to policy" in found:
        changes = found[f"{system} to policy"]
        against = ["{change:+.1%} ({low:+.1%} to {high:+.1%})".format(**changes[m]) for m in METRICS]
    cells = [*(f"{values[m]:.4f}" for m in METRICS), f"{values['one_ms']:.2f}", f"{values['batch_ms']:.1f}", *against]
    return f"| {label} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
