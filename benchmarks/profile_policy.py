"""The `profile` policy against its delegates, its experts alone, and itself without text or images.

    python benchmarks/profile_policy.py amazon-beauty ml-100k hm-week synth --data ../shared/data

Leave-one-out, full ranking, history masked, ties counted against the system. Everything is fitted on the training
part; decays, mixture and transition parameters on validation. So validation figures of fitted systems are optimistic,
and only test figures compare systems. ``synth`` is made on the spot (`reasonrec data synth`, default settings).
Needs reasonrec-text and reasonrec-timm. Writes benchmarks/results/profile.json and profile.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from reasonrec_datasets.synth import SynthConfig, make_catalogue, oracle_ceiling
from reasonrec_profile.api import MixtureWeights, Profile, ProfileConfig, ProfileModel
from threadpoolctl import threadpool_limits

from reasonrec_core.components import Delegate, FitData, Kind
from reasonrec_core.data import SplitConfig, make_split, open_or_import
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.split import Split
from reasonrec_core.evaluate import Scores, compare_all, evaluate_ranking, summarise
from reasonrec_core.observe import observe_items
from reasonrec_core.observe.evidence_horizon import EvidenceHorizonScale
from reasonrec_core.registry import Registry
from reasonrec_core.types import Float32, Observation, QueryBatch, Ranking

METRICS = ("HR@5", "NDCG@5", "HR@10", "NDCG@10")
RESULTS = Path(__file__).parent / "results"
Answer = Callable[[QueryBatch], Ranking]


@dataclass
class Bench:
    """One dataset, divided and observed."""

    name: str
    dataset: Dataset
    split: Split
    fit: FitData
    horizon: Callable[[QueryBatch], Float32]

    def observe(self, batch: QueryBatch) -> Observation:
        return replace(self.fit.observation, horizon=self.horizon(batch))

    def without(self, *modalities: str) -> Bench:
        seen = self.fit.observation
        features = {m: v for m, v in seen.features.items() if m not in modalities}
        present = {m: v for m, v in seen.present.items() if m not in modalities}
        return replace(self, fit=replace(self.fit, observation=replace(seen, features=features, present=present)))

    def score(self, answer: Answer, part: str) -> Scores:
        cases = getattr(self.split, part)
        return evaluate_ranking(answer, cases, (5, 10), n_items=self.dataset.n_items)


def prepare(name: str, data: Path, cache: Path, seed: int, split: str = "leave-one-out") -> Bench:
    folder = data / name
    if name == "synth":
        folder = cache / "synth"
        make_catalogue(folder, SynthConfig(seed=seed))
    dataset = open_or_import(folder, cache / "datasets", seed=seed, name=name)
    divided = make_split(dataset, SplitConfig(kind=split, seed=seed))
    wanted = {"text": "text"} | ({"image": "timm"} if dataset.catalog.has_image.any() else {})
    encoders = {label: Registry.discover().create(Kind.ENCODER, target, {}) for label, target in wanted.items()}
    items = observe_items(dataset.catalog, encoders, cache / "features")
    lengths = np.bincount(divided.train.users, minlength=dataset.n_users).astype(np.int64)
    horizon = EvidenceHorizonScale.fit(lengths)
    seen = items.observation(horizon(divided.valid.queries))
    fit = FitData(dataset.catalog, dataset.n_users, divided.train, divided.valid, seen, seed=seed, horizon=horizon)
    return Bench(name, dataset, divided, fit, horizon)


def policy_of(bench: Bench) -> tuple[Profile, float]:
    policy, started = Profile(ProfileConfig()), time.perf_counter()
    policy.fit(bench.fit)
    return policy, time.perf_counter() - started


def answering(policy: Profile, bench: Bench) -> Answer:
    def answer(batch: QueryBatch) -> Ranking:
        ranking = policy.deliberate(batch, bench.observe(batch)).ranking
        assert ranking is not None
        return ranking

    return answer


def alone(policy: Profile, expert: str) -> Profile:
    """The policy with all weight on one expert and no gate."""
    model = policy.model
    table = np.zeros((1, len(model.weights.names)), np.float32)
    table[0, model.weights.names.index(expert)] = 1.0
    return changed(
        policy,
        replace(
            model,
            weights=MixtureWeights(model.weights.names, np.zeros(0), table),
            fields=tuple(replace(f, exponent=0.0) for f in model.fields),
        ),
    )


def changed(policy: Profile, model: ProfileModel) -> Profile:
    other = Profile(policy.config)
    assert policy._catalog is not None
    other._use(model, policy._catalog)
    return other


def observing(recommend: Callable[[QueryBatch, Observation], Ranking], bench: Bench) -> Answer:
    """Recommendations after looking at what may be observed."""
    return lambda batch: recommend(batch, bench.observe(batch))


def systems(bench: Bench) -> Iterator[tuple[str, Answer, dict[str, object]]]:
    for name in ("popularity", "transitions"):
        delegate = Registry.discover().create(Kind.DELEGATE, name, {})
        assert isinstance(delegate, Delegate)
        started = time.perf_counter()
        delegate.fit(bench.fit)
        seconds = time.perf_counter() - started
        yield name, observing(delegate.recommend, bench), {"fit": seconds}
    policy, seconds = policy_of(bench)
    model = policy.model
    yield "profile", answering(policy, bench), {"fit": seconds, "model": describe(model), "report": policy.report}
    for expert in model.weights.names:
        if expert not in ("popularity", "transitions"):
            yield f"profile, {expert} alone", answering(alone(policy, expert), bench), {}
    plain = changed(policy, replace(model, fields=tuple(replace(f, exponent=0.0) for f in model.fields)))
    yield "profile, fields do not gate", answering(plain, bench), {}
    modalities = tuple(bench.fit.observation.features)
    ablations = {f"without {m}": (m,) for m in modalities} | {"without text and image": modalities}
    for label, gone in ablations.items() if len(modalities) > 1 else {f"without {modalities[0]}": modalities}.items():
        less = bench.without(*gone)
        yield f"profile, fitted {label}", answering(policy_of(less)[0], less), {}
        if len(gone) == 1:
            yield f"profile, {gone[0]} masked when answering", answering(policy, less), {}


def describe(model: ProfileModel) -> dict[str, object]:
    return {
        "experts": {
            e.name: {"fade": asdict(e.fade), "shrinkage": e.shrinkage, "links": e.matrix.nnz} for e in model.experts
        },
        "fields": {f.name: {"labels": len(f.labels), "exponent": f.exponent} for f in model.fields},
        "weights": model.weights.to_dict(),
    }


def measure(bench: Bench, seed: int) -> dict[str, object]:
    rows: dict[str, dict[str, object]] = {}
    tests: dict[str, Scores] = {}
    for name, answer, more in systems(bench):
        valid, test = bench.score(answer, "valid"), bench.score(answer, "test")
        tests[name] = test
        rows[name] = {
            "valid": {m: valid.values[m] for m in METRICS},
            "test": summarise(test, seed=seed, metrics=METRICS),
            "seconds": {"test": test.seconds, **({"fit": more.pop("fit")} if "fit" in more else {})},
            **more,
        }
        print(f"{bench.name:14} {name:36} valid {valid.values['NDCG@10']:.4f} test {test.values['NDCG@10']:.4f}")
    for c in compare_all(tests, "profile", ["NDCG@10"], seed=seed):
        rows[c.a]["against profile"] = {"difference": c.difference, "low": c.low, "high": c.high, "p": c.p_corrected}
    return {
        "users": bench.dataset.n_users,
        "items": bench.dataset.n_items,
        "train": len(bench.split.train),
        "test": len(bench.split.test),
        "dataset": bench.dataset.hash,
        "systems": rows,
    }


def table(name: str, found: dict[str, object]) -> list[str]:
    lines = [
        f"## {name}",
        "",
        f"{found['users']} users, {found['items']} items, {found['train']} training interactions, {found['test']} test "
        "queries.",
        "",
        "| system | valid NDCG@10 | test HR@5 | NDCG@5 | HR@10 | NDCG@10 (95 %) | against profile, p |",
        "|---|---|---|---|---|---|---|",
    ]
    for system, row in found["systems"].items():  # type: ignore[attr-defined]
        test, against = row["test"], row.get("against profile")
        last = test["NDCG@10"]
        versus = f"{against['difference']:+.4f}, {against['p']:.4f}" if against else ""
        cells = " | ".join(f"{test[m]['value']:.4f}" for m in METRICS[:3])
        whole = f"{last['value']:.4f} ({last['low']:.4f} to {last['high']:.4f})"
        lines.append(f"| {system} | {row['valid']['NDCG@10']:.4f} | {cells} | {whole} | {versus} |")
    profile = found["systems"]["profile"]  # type: ignore[index]
    seconds, report = profile["seconds"], profile["report"]
    lines += [
        "",
        f"Fit {seconds['fit']:.1f} s, {found['test']} test answers {seconds['test']:.1f} s. NDCG@10 of validation "
        f"pairs: {report['NDCG@10 on searched']:.4f} searched, {report['NDCG@10 on unseen']:.4f} not searched.",
    ]
    if "ceiling" in found:
        lines.append(f"The best possible ranking has an expected test NDCG@10 of {found['ceiling']:.4f}.")
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    path = RESULTS / "profile.json"
    results = json.loads(path.read_text())["results"] if path.exists() else {}
    for name in arguments.datasets:
        bench = prepare(name, arguments.data, arguments.cache, arguments.seed)
        with threadpool_limits(2):
            results[name] = measure(bench, arguments.seed)
        if name == "synth":
            ceiling = oracle_ceiling(arguments.cache / "synth", bench.dataset, bench.split.test)
            results[name]["ceiling"] = ceiling["NDCG@10"]
        command = f"python benchmarks/profile_policy.py {' '.join(results)} --seed {arguments.seed}"
        made = {"command": command, "date": date.today().isoformat(), "python": platform.python_version()}
        RESULTS.mkdir(exist_ok=True)
        path.write_text(json.dumps({**made, "results": results}, indent=1) + "\n")
        head = [
            "# The profile policy",
            "",
            f"`{command}`, {made['date']}, Python {made['python']}, two cores of an AMD EPYC, 24 GB (shared with other "
            "work, so seconds are upper bounds).",
            "",
            "Leave-one-out, full ranking, history masked, ties against the system. Validation figures of fitted "
            "systems are optimistic: their parameters were chosen there. p: paired bootstrap, Holm-corrected within "
            "the dataset.",
            "",
        ]
        lines = [line for each, found in results.items() for line in table(each, found)]
        (RESULTS / "profile.md").write_text("\n".join([*head, *lines]))


if __name__ == "__main__":
    main()
