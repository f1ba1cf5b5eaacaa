"""Early exit of `cot` on click labels: how many layers it takes, how long, and what it costs.

    python benchmarks/cot_exit.py --data ../shared/data/ctr-ml-1m --steps 450 --layers 4 --exits 1 2 3

CoLLM's time split of MovieLens 1M, titles alone. Tuned on the training file with a head after each of ``--exits``
layers; the validation file chooses when to stop tuning and fits, on ``--valid-rows`` rows, the threshold (conformal
risk control) and how yes against no is weighed with how often an item was clicked, once for the whole model and once
for early answers: what is weighed is what the policy answers. Of the risks and numbers of heads in a row that are
tried, the one with the fewest layers is taken whose answers' AUC on the validation rows, weighed by weights of the
other four fifths of them, is not lower by more than .003 (95 %, paired, users resampled); with it the test file is
scored once, by the whole model and early, rows drawn once. Milliseconds are the processor's per row, in batches of 256
through the policy, both ways in turns. Needs reasonrec-cot and -text. Writes benchmarks/results/cot_exit.md.
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
import torch
from cot_ctr import TUNED, some
from ctr import observed
from machine import name_processor
from progress import tell
from reasonrec_cot.answers.early_exit import EarlyExit
from reasonrec_cot.answers.exit_rule import ExitRule, choose_threshold, settled
from reasonrec_cot.config import CotConfig
from reasonrec_cot.items.similar_users import gather_evidence
from reasonrec_cot.policy import Cot
from reasonrec_cot.tuning.fusion import fit_click_fusion
from scipy.special import expit
from threadpoolctl import threadpool_limits

from reasonrec_core.components import FitData
from reasonrec_core.data import SplitConfig, make_split, open_or_import
from reasonrec_core.evaluate import compare_all, score_ctr, summarise
from reasonrec_core.types import Cases, Float32, Float64, Task

RESULTS = Path(__file__).parent / "results" / "cot_exit.md"
RISKS, IN_A_ROW, MARGIN, FOLDS = (0.002, 0.005, 0.01, 0.02, 0.05), (1, 2), 0.003, 5
METRICS = ("AUC", "UAUC", "LogLoss")
EARLY, WHOLE = "early", "whole"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ctr-ml-1m"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "reasonrec" / "cot-exit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=450, help="of tuning")
    parser.add_argument("--minutes", type=float, help="bound of the tuning, by the clock")
    parser.add_argument("--layers", type=int, default=4, help="of the language model, the first so many")
    parser.add_argument("--exits", type=int, nargs="+", default=[1, 2, 3], help="after which layers heads stand")
    parser.add_argument("--valid-rows", type=int, default=4000)
    parser.add_argument("--rows", type=int, default=7331, help="test rows")
    parser.add_argument("--timed", type=int, default=256, help="test rows that are timed")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with threadpool_limits(options.threads):
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Tune, choose, score, time, write."""
    options.work.mkdir(parents=True, exist_ok=True)
    dataset = open_or_import(options.data, options.cache / "bench", seed=options.seed)
    split = make_split(dataset, SplitConfig(kind="predefined", seed=options.seed))
    nothing: Any = None
    bare = FitData(
        dataset.catalog, dataset.n_users, split.train, split.valid, nothing, task=Task.CTR, seed=options.seed
    )
    fit = replace(observed(bare, options.cache / "bench"), workdir=options.work, progress=tell())
    policy, spent = tune(options, fit)
    test = some(split.test, options.rows)
    valid = some(split.valid, options.valid_rows)
    every = {"valid": ask(policy, fit, valid, options.work / "valid.npy")}
    tried = [try_rule(policy, fit, valid, every["valid"], risk, row) for row in IN_A_ROW for risk in RISKS]
    safe = [each for each in tried if each["weighed"].low >= -MARGIN]
    best = min(safe, key=lambda each: (each["layers"], -each["weighed"].difference)) if safe else tried[0]
    every["test"] = ask(policy, fit, test, options.work / "test.npy")
    answers = answer(policy, fit, valid, every, test, best["rule"])
    scores = {name: score_ctr(found, test) for name, found in answers.items()}
    milliseconds = compare_speed(policy, fit, some(test, options.timed), best["rule"])
    write(options, policy, spent, tried, best, scores, every["test"], test, milliseconds)


def tune(options: argparse.Namespace, fit: FitData, more: dict[str, Any] | None = None) -> tuple[Cot, float]:
    """The tuned policy, with ``more`` settings, and the seconds of the processor of this sitting."""
    tuning = {**TUNED["tuning"], "steps": options.steps, "validations": 2, "queries": 400, "minutes": options.minutes}
    tree = {
        **TUNED,
        "backbone": {"layers": options.layers},
        "exit": {"layers": options.exits, "risk": 0.01},
        "tuning": tuning,
        **(more or {}),
    }
    policy, started = Cot(CotConfig.model_validate(tree)), time.process_time()
    policy.fit(fit)
    print(json.dumps(policy.report), flush=True)
    return policy, time.process_time() - started


def ask(policy: Cot, fit: FitData, cases: Cases, path: Path) -> Float64:
    """float64[N, heads + 1]: log odds of yes by every head and the whole model; read where they were asked before."""
    if path.exists() and len(found := np.load(path)) == len(cases):
        return np.asarray(found, np.float64)
    first = replace(cases.queries.slice(0, 2), task=Task.CTR)
    policy.deliberate(first, horizons(fit, len(first)))  # makes the engine of these features
    started = time.perf_counter()
    made = policy.engine.ask_layers(replace(cases.queries, task=Task.CTR))
    print(f"{path.stem}: {len(cases) / (time.perf_counter() - started):.1f} rows/s", flush=True)
    np.save(path, made)
    return made


def horizons(fit: FitData, count: int) -> Any:
    """What may be looked at; nobody measures the evidence horizon here."""
    return replace(fit.observation, horizon=np.full(count, 0.5, np.float32))


def stop(every: Float64, rule: ExitRule) -> tuple[Float32, np.ndarray[Any, np.dtype[np.int64]]]:
    """The log odds that are given, and by which head (the last is the whole model)."""
    heads = rule.stop(every[:, :-1])
    return every[np.arange(len(every)), heads].astype(np.float32), heads


def layers_read(heads: np.ndarray[Any, np.dtype[np.int64]], rule: ExitRule, depth: int) -> float:
    """The mean share of the layers."""
    return float(np.array([*rule.layers, depth])[heads].mean() / depth)


def try_rule(policy: Cot, fit: FitData, valid: Cases, every: Float64, risk: float, in_a_row: int) -> dict[str, Any]:
    """A risk and a number of heads in a row, on validation rows: yes alone, and what the policy answers."""
    assert valid.labels is not None
    layers, depth = tuple(policy.config.exit.layers or ()) if policy.config.exit else (), policy.backbone.layers
    threshold, bound = choose_threshold(every[:, :-1], every[:, -1], valid.labels[:, 0] > 0, risk, in_a_row)
    rule = ExitRule(layers, threshold, in_a_row)
    given, heads = stop(every, rule)
    odds = {EARLY: given, WHOLE: every[:, -1].astype(np.float32)}
    alone = {name: score_ctr(expit(each)[:, None], valid) for name, each in odds.items()}
    weighed = {name: score_ctr(weigh_unseen(policy, fit, valid, each), valid) for name, each in odds.items()}
    return {
        "rule": rule, "risk": risk, "row": in_a_row, "bound": bound, "layers": layers_read(heads, rule, depth),
        "alone": next(iter(compare_all(alone, WHOLE, ("AUC",), seed=fit.seed))),
        "weighed": next(iter(compare_all(weighed, WHOLE, ("AUC",), seed=fit.seed))),
    }  # fmt: skip


def weigh_unseen(policy: Cot, fit: FitData, valid: Cases, odds: Float32) -> Float32:
    """float32[N, 1]: P(click) of validation rows, each by weights that were fitted to the rows of other folds."""
    counts, fold = policy.engine.counts, np.random.default_rng(fit.seed).permutation(len(valid)) % FOLDS
    assert counts is not None
    found = np.zeros((len(valid), 1), np.float32)
    for number in range(FOLDS):
        own, others = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        rows = valid.take(others)
        fitted = fit_click_fusion(odds[others], rows, gather_evidence(rows, counts, None, fit), fit).decision
        asked = valid.queries.take(own)
        assert fitted is not None
        assert asked.candidates is not None
        yes = expit(odds[own])[:, None].clip(1e-6, 1 - 1e-6)
        found[own] = fitted({"yes": yes, **counts.look_up(asked.candidates)}, np.full(len(own), 0.5, np.float32))
    return found


def answer(
    policy: Cot, fit: FitData, valid: Cases, every: dict[str, Float64], test: Cases, rule: ExitRule
) -> dict[str, Float32]:
    """P(click) of the test rows: yes alone and weighed with an item's counts, early and by the whole model."""
    counts = policy.engine.counts
    assert counts is not None
    assert test.queries.candidates is not None
    found = {}
    for name in (WHOLE, EARLY):
        odds = {part: rows[:, -1].astype(np.float32) if name == WHOLE else stop(rows, rule)[0]
                for part, rows in every.items()}  # fmt: skip
        fitted = fit_click_fusion(odds["valid"], valid, gather_evidence(valid, counts, None, fit), fit).decision
        assert fitted is not None
        yes = expit(odds["test"])[:, None].clip(1e-6, 1 - 1e-6).astype(np.float32)
        horizon = np.full(len(test), 0.5, np.float32)
        found[f"yes, {name}"] = yes
        found[f"weighed, {name}"] = fitted({"yes": yes, **counts.look_up(test.queries.candidates)}, horizon)
    return found


def compare_speed(policy: Cot, fit: FitData, cases: Cases, rule: ExitRule) -> dict[str, list[float]]:
    """Milliseconds per row in two rounds, as ever and early, in turns."""
    engine = policy.engine
    spent: dict[str, list[float]] = {WHOLE: [], EARLY: []}
    assert engine.exit is not None
    kept = engine.exit
    ways = {WHOLE: None, EARLY: EarlyExit(kept.heads, rule, kept.decision)}
    for number in range(3):
        for name, exit in ways.items():
            engine.exit = exit
            started = time.process_time()
            for _, piece in replace(cases.queries, task=Task.CTR).chunks(256):
                policy.deliberate(piece, horizons(fit, len(piece)))
            if number:  # the first round warms up
                spent[name].append(1000 * (time.process_time() - started) / len(cases))
    engine.exit = kept
    return spent


def write(
    options: argparse.Namespace,
    policy: Cot,
    spent: float,
    tried: list[dict[str, Any]],
    best: dict[str, Any],
    scores: dict[str, Any],
    every: Float64,
    test: Cases,
    milliseconds: dict[str, list[float]],
) -> None:
    """The results page."""
    rule, depth, training = best["rule"], policy.backbone.layers, policy.report["training"]
    heads = stop(every, rule)[1]
    shares = np.bincount(heads, minlength=len(rule.layers) + 1) / len(heads)
    fast, slow = (float(np.mean(milliseconds[name])) for name in (EARLY, WHOLE))
    lines = [
        "# Early exit of the cot policy: clicks",
        "",
        f"`python benchmarks/cot_exit.py --steps {options.steps}"
        + (f" --minutes {options.minutes:g}" if options.minutes else "")
        + f" --layers {options.layers} --exits {' '.join(map(str, options.exits))} "
        f"--valid-rows {options.valid_rows} --rows {options.rows} "
        f"--threads {options.threads} --seed {options.seed}`, {date.today()}, Python {platform.python_version()}, "
        f"one of two cores of an {name_processor()}, 24 GB, shared with other work.",
        "",
        " ".join(__doc__.split("\n\n")[2].split("Needs")[0].split()),
        f"Tuned: {training['steps']} of {options.steps} steps ({training['tokens'].get('ctr', 0):,} tokens of click "
        f"dialogues), {training['seconds'] / 60:.0f} minutes by the clock; stopped by {training['stopped']}.",
        "",
        "Validation rows, AUC minus that of the whole model; the bold line is taken:",
        "",
        "| heads in a row | risk | bound | threshold (log odds) | share of the layers | weighed | yes alone |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in tried:
        mark = "**" if each is best else ""
        limit = f"{each['rule'].threshold:.3f}" if each["rule"].stops else "never"
        lines.append(
            f"| {mark}{each['row']}{mark} | {each['risk']:g} | {each['bound']:.4f} | {limit} | {each['layers']:.1%} | "
            + " | ".join(
                f"{d.difference:+.4f} ({d.low:+.4f} to {d.high:+.4f})" for d in (each["weighed"], each["alone"])
            )
            + " |"
        )
    by_layer = " · ".join(
        f"{layer}: {score_ctr(expit(every[:, n])[:, None].astype(np.float32), test).values['AUC']:.4f}"
        for n, layer in enumerate((*rule.layers, depth))
    )
    answered = ", ".join(f"{layer}: {share:.1%}" for layer, share in zip((*rule.layers, depth), shares, strict=True))
    lines += [
        "",
        f"Test, {len(test)} rows, once: {layers_read(heads, rule, depth):.1%} of the layers (answered after layer "
        f"{answered}); {fast:.1f} ms per row instead of {slow:.1f} ({1 - fast / slow:.1%} less; rounds "
        f"{', '.join(f'{ms:.1f}' for ms in milliseconds[EARLY])} against "
        f"{', '.join(f'{ms:.1f}' for ms in milliseconds[WHOLE])}; {options.timed} rows). AUC of yes by each head and "
        f"the whole model, after layer {by_layer}.",
        "",
        f"| | {' | '.join(METRICS)} |",
        "|---|" + "---|" * len(METRICS),
    ]
    for name, score in scores.items():
        values = summarise(score, seed=options.seed, resamples=1000)
        cells = [f"{values[m]['value']:.4f} ({values[m]['low']:.3f} to {values[m]['high']:.3f})" for m in METRICS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for kind in ("yes", "weighed"):
        pair = {EARLY: scores[f"{kind}, {EARLY}"], WHOLE: scores[f"{kind}, {WHOLE}"]}
        made = compare_all(pair, WHOLE, METRICS, seed=options.seed)
        cells = [write_difference(each) for each in made]
        lines.append(f"| {kind}: early minus whole | {' | '.join(cells)} |")
    lines += ["", *describe_depth(every, test, rule, depth), ""]
    RESULTS.write_text("\n".join(lines))
    print("\n".join(lines), flush=True)


def write_difference(found: Any) -> str:
    """With its interval."""
    return f"{found.difference:+.4f} ({found.low:+.4f} to {found.high:+.4f})"


def describe_depth(every: Float64, test: Cases, rule: ExitRule, depth: int) -> list[str]:
    """What `exit-depth` says of test rows: how often the whole model's yes or no is right, by where it settled."""
    assert test.labels is not None
    right = (every[:, -1] > 0) == (test.labels[:, 0] > 0)
    where, layers = settled(every), (*rule.layers, depth)
    lines = ["| settled after layer | rows | yes or no is right |", "|---|---|---|"]
    for n, layer in enumerate(layers):
        if (where == n).any():
            lines.append(f"| {layer} | {(where == n).mean():.1%} | {right[where == n].mean():.1%} |")
    return lines


if __name__ == "__main__":
    main()
