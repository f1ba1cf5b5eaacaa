"""Why conformal sets miss their coverage on test, and what rehearsing earlier steps finds: `profile`, APS, one group.

    python benchmarks/conformal_causes.py ml-100k ml-1m amazon-beauty hm-week --data ../shared/data

First: is it that the policy was fitted on the validation queries? It is fitted on half of them, and the sets are
calibrated on that half or on the other. Then: is it the step from validation to test? Models that did not see the last
k training steps are calibrated on the first of these and tested on the second; the level that would have kept the
coverage there is used for `profile` on test. Needs reasonrec-text, -timm and -conformal. Prints one line per figure.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from profile_policy import Bench, prepare
from reasonrec_conformal.scores import ConformalScore, ScoreLadder
from reasonrec_profile.api import Profile, ProfileConfig
from reasonrec_transitions.api import Transitions, TransitionsConfig
from threadpoolctl import threadpool_limits

from reasonrec_core.data.cases import make_user_cases
from reasonrec_core.types import Cases, Float32, Interactions, QueryBatch

COVERAGE, CELLS, STEPS = 0.9, 1 << 20, 5
Distribution = Callable[[QueryBatch], Float32]


def scores(distribution: Distribution, cases: Cases, n_items: int) -> np.ndarray:
    """float64[B] APS scores of the targets."""
    found = []
    for start, batch in replace(cases.queries, k=1).chunks(max(1, min(256, CELLS // n_items))):
        p = distribution(batch)
        wanted = cases.targets[start : start + len(batch)]
        found.append(ScoreLadder.of(ConformalScore("aps"), p).scores(p[np.arange(len(batch)), wanted]))
    return np.concatenate(found)


def masked(raw: Float32, batch: QueryBatch) -> Float32:
    """Shares of what may be recommended."""
    raw[batch.history.rows, batch.history.items] = 0
    return np.asarray(raw / raw.sum(axis=1, keepdims=True), np.float32)


def profile(bench: Bench, rows: np.ndarray | None = None) -> Distribution:
    """Fitted on all validation queries, or on some."""
    policy, fit = Profile(ProfileConfig()), bench.fit
    if rows is not None:
        assert fit.valid is not None
        fit = replace(fit, valid=fit.valid.take(rows), observation=fit.observation.take(rows))
    policy.fit(fit)
    return lambda batch: policy.distribution(batch, bench.observe(batch))


def halves(bench: Bench) -> None:
    """Calibrated on what `profile` was fitted on, and on what it was not."""
    valid, n = bench.split.valid, bench.dataset.n_items
    order = np.random.default_rng(0).permutation(len(valid))
    seen, unseen = np.sort(order[::2]), np.sort(order[1::2])
    model = profile(bench, seen)
    before, test = scores(model, valid, n), scores(model, bench.split.test, n)
    for label, half in (("fitted on", seen), ("not fitted on", unseen)):
        covered = (test <= np.quantile(before[half], COVERAGE)).mean()
        print(f"{bench.name}: calibrated on the half that it was {label}: {covered:.4f}", flush=True)


def popularity(bench: Bench, train: Interactions) -> Distribution:
    counts = (np.bincount(train.items, minlength=bench.dataset.n_items) + 0.5).astype(np.float32)
    return lambda batch: masked(np.tile(counts, (len(batch), 1)), batch)


def transitions(bench: Bench, train: Interactions) -> Distribution:
    model = Transitions(TransitionsConfig(search=False))
    model.fit(replace(bench.fit, train=train, valid=None))
    return lambda batch: masked(np.maximum(model.score(batch, bench.fit.observation), 0) + np.float32(1e-12), batch)


def rehearsals(bench: Bench) -> None:
    """Levels found by rehearsing the last steps, and what they give `profile` on test."""
    train, n, users = bench.split.train, bench.dataset.n_items, bench.dataset.n_users
    model = profile(bench)
    valid, test = scores(model, bench.split.valid, n), scores(model, bench.split.test, n)
    print(f"{bench.name}: not rehearsed: {(test <= np.quantile(valid, COVERAGE)).mean():.4f}", flush=True)
    lengths = np.bincount(train.users, minlength=users)
    age = (np.cumsum(lengths) - 1)[train.users] - np.arange(len(train))
    found: dict[str, list[float]] = {}
    for k in range(1, STEPS + 1):
        enough = lengths[train.users] >= k + 1
        first = make_user_cases(train, enough & (age > k - 1), enough & (age == k - 1), users)
        if k > 1:
            second = make_user_cases(train, enough & (age > k - 2), enough & (age == k - 2), users)
        else:
            second = bench.split.valid.take(np.flatnonzero(lengths[bench.split.valid.queries.users] >= 2))
        rest = train.take(~(enough & (age <= k - 1)))
        for label, make in (("popularity", popularity), ("transitions", transitions)):
            distribution = make(bench, rest)
            one, two = scores(distribution, first, n), scores(distribution, second, n)
            found.setdefault(label, []).append(float((one <= np.quantile(two, COVERAGE)).mean()))
    for label, levels in found.items():
        for steps in (1, 3, 5):
            level = float(np.mean(levels[:steps]))
            covered = (test <= np.quantile(valid, min(level, 1))).mean()
            print(f"{bench.name}: {label}, last {steps}: level {level:.4f}, coverage {covered:.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    given = parser.parse_args()
    with threadpool_limits(1):
        for name in given.datasets:
            bench = prepare(name, given.data, given.cache, 0)
            halves(bench)
            rehearsals(bench)


if __name__ == "__main__":
    main()
