"""`cot` on click labels: P(yes) of a tuned and an untuned model, against `lightgbm-ctr`, and both together.

    python benchmarks/cot_ctr.py --data ../shared/data/ctr-ml-1m --minutes 10 --rows 2000

CoLLM's time split of MovieLens 1M, titles alone. Tuned on the training file; the validation file chooses when to stop,
fits a temperature and an offset of each system's log odds (Platt) and the weights of both systems together; the test
file is scored once. What the tuned policy answers is yes against no, weighed with how often the item was clicked in
training, on 2,000 validation rows. ``--rows`` answers only so many rows of each held-out file, the same ones for all
systems, drawn once. The untuned model is asked with all its layers and reads titles. Differences are paired by row,
users resampled, over the rows that both answered. Needs reasonrec-cot, -text and -lightgbm. Answers are kept under
``--work`` and not asked for twice. Writes benchmarks/results/cot_ctr.md.
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
import numpy.typing as npt
from ctr import METRICS, observed
from progress import tell
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from reasonrec_core.components import FitData, Kind
from reasonrec_core.data import SplitConfig, make_split, open_or_import
from reasonrec_core.evaluate import compare_all, holm, score_ctr, summarise
from reasonrec_core.io import content_hash
from reasonrec_core.registry import Registry
from reasonrec_core.routing import fit_monotone_platt
from reasonrec_core.types import Cases, Float32, Task

RESULTS = Path(__file__).parent / "results" / "cot_ctr.md"
TUNED: dict[str, Any] = {
    "prompt": {"history": 20, "history_text": "none"},
    "soft": {"per_item": 1},
    "tuning": {
        "steps": 20_000,
        "batch_tokens": 2048,
        "learning_rate": 1e-3,
        "head_rate": 4e-3,
        "dropout": 0.1,
        "weights": {"answer": 1.0, "recommendation": 0.3},
        "shares": {"sequential": 0.2, "direct": 0.0, "ctr": 1.0},
        "curriculum": {"kind": "none"},
        "queries": 600,
        "validations": 5,
    },
}
UNTUNED: dict[str, Any] = {"prompt": {"history": 10, "history_text": "title"}}
TREES, TUNED_NAME, UNTUNED_NAME, BOTH = "lightgbm-ctr", "cot, tuned", "cot, untuned", "both together"
PAIRS = ((TUNED_NAME, UNTUNED_NAME), (TUNED_NAME, TREES), (BOTH, TREES), (BOTH, TUNED_NAME))
REPORT = "report"
COMPARED = ("AUC", "UAUC", "LogLoss")
Answers = dict[str, Float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ctr-ml-1m"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "reasonrec" / "cot-ctr")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=10.0, help="bound of the tuning")
    parser.add_argument("--layers", type=int, default=4, help="of the language model, the first so many")
    parser.add_argument("--rows", type=int, default=2000, help="held-out rows answered per file")
    parser.add_argument("--untuned-rows", type=int, default=600, help="of these, answered by the untuned model")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with threadpool_limits(options.threads):
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Fit and score all systems."""
    import torch

    torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    dataset = open_or_import(options.data, options.cache / "bench", seed=options.seed)
    split = make_split(dataset, SplitConfig(kind="predefined", seed=options.seed))
    nothing: Any = None
    bare = FitData(
        dataset.catalog, dataset.n_users, split.train, split.valid, nothing, task=Task.CTR, seed=options.seed
    )
    fit = replace(observed(bare, options.cache / "bench"), workdir=options.work, progress=tell())
    parts = {name: some(getattr(split, name), options.rows) for name in ("valid", "test")}
    more = {"backbone": {"layers": options.layers}, "tuning": {**TUNED["tuning"], "minutes": options.minutes}}
    tuned = {**TUNED, **more}
    fewer = {name: some(cases, options.untuned_rows) for name, cases in parts.items()}
    trees = {"threads": options.threads}
    asked: dict[str, tuple[Kind, str, dict[str, Any], dict[str, Cases]]] = {
        TREES: (Kind.DELEGATE, "lightgbm-ctr", trees, parts),
        TUNED_NAME: (Kind.POLICY, "cot", tuned, parts),
        UNTUNED_NAME: (Kind.POLICY, "cot", UNTUNED, fewer),
    }
    systems = {name: kept(options.work / f"{name}.npz", fit, *what) for name, what in asked.items()}
    lines = [line for name, found in systems.items() for line in rows(name, found, parts, options)]
    fitted = {name: collate([found], of(found, parts)) for name, found in systems.items()}
    fitted[BOTH] = collate([systems[TREES], systems[TUNED_NAME]], parts)
    lines += rows(BOTH, fitted[BOTH], parts, options)
    write(lines, differences(fitted, parts["test"], options), systems, options, len(split.train))


def kept(path: Path, fit: FitData, kind: Kind, name: str, settings: dict[str, Any], parts: dict[str, Cases]) -> Answers:
    """A system's answers, read where there are any to the same question."""
    key = np.array(json.dumps([name, settings, fit.seed, {part: rows_of(cases) for part, cases in parts.items()}]))
    if path.exists():
        with np.load(path) as arrays:
            if str(arrays["key"]) == str(key):
                return {part: arrays[part] for part in arrays if part != "key"}
    found = answers(kind, name, settings, fit, parts)
    np.savez(path, key=key, **found)  # type: ignore[arg-type]
    return found


def rows_of(cases: Cases) -> str:
    """Which rows these are."""
    assert cases.queries.candidates is not None
    return content_hash(cases.queries.users.tobytes(), cases.queries.candidates.tobytes())


def answers(kind: Kind, name: str, settings: dict[str, Any], fit: FitData, parts: dict[str, Cases]) -> Answers:
    """P(click) of each part's rows, and the seconds of fitting and answering."""
    made: Any = Registry.discover().create(kind, name, settings)
    started = time.perf_counter()
    made.fit(replace(fit, workdir=fit.workdir if settings.get("tuning") else None))
    found = {"fit seconds": np.array([time.perf_counter() - started], np.float32)}
    for part, cases in parts.items():
        queries = replace(cases.queries, task=Task.CTR)
        started = time.perf_counter()
        if kind is Kind.DELEGATE:
            found[part] = made.score(queries, fit.observation)
        else:
            halfway = np.full(len(queries), 0.5, np.float32)  # nobody measures the evidence horizon here
            seen = replace(fit.observation, horizon=halfway)
            parted = ((np.arange(at, at + len(piece)), piece) for at, piece in queries.chunks(256))
            pieces = [made.deliberate(piece, seen.take(rows)).probability for rows, piece in parted]
            found[part] = np.concatenate(pieces)
        print(name, part, f"{len(queries) / (time.perf_counter() - started):.1f} rows/s", flush=True)
    if getattr(made, "report", None):
        print(json.dumps(made.report), flush=True)
        found[REPORT] = np.array(json.dumps(made.report))
    return found


def describe_sources(found: Answers) -> list[str]:
    """What the policy hears, each alone, and all together, cross-fitted: AUC on validation rows."""
    if REPORT not in found:
        return []
    report = json.loads(str(found[REPORT]))
    judged = report["decision"]["clicks"]
    heard = ", ".join(f"{name} {figure['AUC']:.4f}" for name, figure in judged["figures"].items())
    spent = report["training"]
    return [
        f"Tuned: {spent['steps']} steps, {spent['tokens'].get('ctr', 0):,} tokens of click dialogues. AUC of each "
        f"source on {judged['pairs']:,} validation rows: {heard}; {judged['decides']} decides.",
        "",
    ]


def log_odds(chance: Float32) -> Float32:
    clipped = np.clip(chance[:, 0].astype(np.float64), 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped)).astype(np.float32)


def collate(systems: list[Answers], parts: dict[str, Cases]) -> Answers:
    """Logistic regression of the log odds, fitted on the validation rows; a single system keeps its order."""
    labels = parts["valid"].labels
    assert labels is not None
    if len(systems) == 1:
        made = fit_monotone_platt(systems[0]["valid"].ravel().astype(np.float64), np.ravel(labels) > 0)
        return {part: made(systems[0][part].ravel())[:, None].astype(np.float32) for part in parts}
    columns = {part: np.stack([log_odds(found[part]) for found in systems], axis=1) for part in parts}
    model = LogisticRegression().fit(columns["valid"], np.ravel(labels) > 0)
    return {part: model.predict_proba(columns[part])[:, 1:].astype(np.float32) for part in parts}


def rows(name: str, found: Answers, parts: dict[str, Cases], options: argparse.Namespace) -> list[str]:
    """The lines of one system on the test rows: as it answers, and recalibrated on validation rows."""
    n, parts, lines = len(found["test"]), of(found, parts), []
    shown = {name: found} if name == BOTH else {name: found, f"{name}, recalibrated": collate([found], parts)}
    for label, answer in shown.items():
        values = summarise(score_ctr(answer["test"], parts["test"]), seed=options.seed, resamples=1000)
        cells = " | ".join(
            f"{values[m]['value']:.4f} ({values[m]['low']:.3f} to {values[m]['high']:.3f})" for m in METRICS
        )
        lines.append(f"| {label} | {n} | {cells} |")
        print(lines[-1], flush=True)
    return lines


def differences(fitted: dict[str, Answers], test: Cases, options: argparse.Namespace) -> list[str]:
    """The lines of one system minus another, both recalibrated, p Holm-corrected over all of them."""
    found = []
    for pair in PAIRS:
        n = min(len(fitted[name]["test"]) for name in pair)
        answered = (fitted[name]["test"] for name in pair)
        first, second = (score_ctr(a if len(a) == n else a[chosen(len(a), n)], some(test, n)) for a in answered)
        made = compare_all({pair[0]: first, pair[1]: second}, pair[1], COMPARED, seed=options.seed)
        found.append((pair, n, made))
    adjusted = iter(holm([each.p for _, _, made in found for each in made]))
    lines = []
    for (first_name, second_name), n, made in found:
        cells = [f"{d.difference:+.4f} ({d.low:+.4f} to {d.high:+.4f}), p {next(adjusted):.4f}" for d in made]
        lines.append(f"| {first_name} minus {second_name} | {n} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


def some(cases: Cases, most: int) -> Cases:
    """So many rows, drawn."""
    return cases if len(cases) <= most else cases.take(chosen(len(cases), most))


def chosen(total: int, most: int) -> npt.NDArray[np.intp]:
    """Which rows these are."""
    return np.random.default_rng(0).permutation(total)[:most]


def of(found: Answers, parts: dict[str, Cases]) -> dict[str, Cases]:
    """The rows of each part that a system answered."""
    return {part: some(cases, len(found[part])) for part, cases in parts.items()}


def write(
    lines: list[str], between: list[str], systems: dict[str, Answers], options: argparse.Namespace, trained: int
) -> None:
    """The results page."""
    seconds = ", ".join(f"{name} {found['fit seconds'][0]:.0f} s" for name, found in systems.items())
    RESULTS.write_text(
        "\n".join(
            [
                "# The cot policy: clicks",
                "",
                f"`python benchmarks/cot_ctr.py --minutes {options.minutes:g} --layers {options.layers} "
                f"--rows {options.rows} --untuned-rows {options.untuned_rows} --threads {options.threads} "
                f"--seed {options.seed}`, {date.today()}, Python "
                f"{platform.python_version()}, AMD EPYC, 24 GB, shared with other work.",
                "",
                " ".join(__doc__.split("\n\n")[2].split("Needs")[0].split()),
                f"{trained} training rows. Fitted in: {seconds}.",
                "",
                f"| system | test rows | {' | '.join(METRICS)} |",
                "|---|---|" + "---|" * len(METRICS),
                *lines,
                "",
                "Recalibrated systems, the first minus the second (95 % intervals, 10,000 samples of users, p "
                "Holm-corrected over the table):",
                "",
                f"| | test rows | {' | '.join(COMPARED)} |",
                "|---|---|" + "---|" * len(COMPARED),
                *between,
                "",
                *describe_sources(systems[TUNED_NAME]),
            ]
        )
    )


if __name__ == "__main__":
    main()
