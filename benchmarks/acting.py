"""Acting that pays, measured on finished runs: deciding, shares that come out, promises that hold, time that is saved.

    python benchmarks/acting.py measure RUN --work WORK           # a run's components and answers, its router anew
    python benchmarks/acting.py measure RUN --work WORK --parts time --delegates transitions popularity
    python benchmarks/acting.py table --work WORK                  # benchmarks/results/acting.md

``decide``: seconds of deciding about one request and about a batch of 256, beside the policy's. ``share``: a wanted
share placed on validation queries and on the requests that come next, against what comes of it on test. ``promise``:
users are halved, again and again: the share that is not inferior is chosen on one half's validation queries, and judged
by the other half's validation and test queries. ``time``: every request, and every batch of 256, answered by the
routed loop and by the policy alone, in turn; by the clock and by the processor time of the thread. ``curve``: quality
on test at every tenth of the share, for random, learned and oracle routing, with the milliseconds of a request there:
those of who answers, each timed alone and in turn, and of deciding. One thread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from acting_table import write_table
from reasonrec_routers.features import LearnedFeatures
from routing_answers import TOP, quality
from threadpoolctl import threadpool_limits

from reasonrec_core.data import Dataset, open_split
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.finished_run import load_agent
from reasonrec_core.pipeline.latency import Ask, compare_seconds, list_ways_to_ask, without_memory
from reasonrec_core.pipeline.serving_catalog import ServingCatalog
from reasonrec_core.registry import Registry
from reasonrec_core.routing import CalibrationData, Router, make_router
from reasonrec_core.routing.budget import relative_difference, routed_quality, share_for_loss
from reasonrec_core.routing.config import FREE_LOSS, AnyRouterConfig
from reasonrec_core.types import Cases, QueryBatch, Ranking, Task

BATCH, RESAMPLES = 256, 1000
EARLY = ("evidence-horizon",)
FEATURES = LearnedFeatures()
Found = dict[str, Any]


class Opened:
    """A run whose components and answers are used, not its router.

    Args:
        path: the run folder.
        delegates: whom requests may go to, the main one first.
    """

    def __init__(self, path: Path, delegates: tuple[str, ...]) -> None:
        served = ServingCatalog.open(path)
        served.state["routers"] = {}
        self.path, self.delegates = path, delegates
        self.agent: Agent = load_agent(served, Registry.discover())
        split = open_split(path / "stages/split-sequential/split", Dataset.open(path / "stages/data/dataset"))
        self.cases = {"valid": split.valid, "test": split.test}
        assert self.agent.policy is not None
        self.policy = self.agent.policy.label

    def arrays(self, label: str, part: str) -> dict[str, np.ndarray]:
        """What a system answered."""
        with np.load(self.path / f"stages/answers-sequential-{part}-{label}/answers.npz") as saved:
            return dict(saved)

    def early(self, queries: QueryBatch) -> Found:
        """What is known before anybody answers."""
        asked = replace(queries, k=TOP + 1)
        return {
            **self.agent.estimate("before", asked, self.agent.observe(asked), None),
            **self.agent.features(asked, {}),
        }

    def data(self, part: str) -> CalibrationData:
        """What a router learns from, or is judged by."""
        cases: Cases = self.cases[part]
        kept = {label: self.arrays(label, part) for label in (self.policy, *self.delegates)}
        ranked = {label: Ranking(a["items"][:, : TOP + 1], a["scores"][:, : TOP + 1]) for label, a in kept.items()}
        made = {label: quality(ranking, cases) for label, ranking in ranked.items()}
        known, theirs = self.early(cases.queries), {label: ranked[label] for label in self.delegates}
        if "masses" in kept[self.policy]:
            masses = kept[self.policy]["masses"][:, : TOP + 1].astype(np.float32)
            known |= FEATURES.compare(ranked[self.policy], masses, theirs, TOP)
        gains, hits = ({label: each[i] for label, each in made.items()} for i in (0, 1))
        return CalibrationData(self.policy, known, gains, hits, cases.queries.users.astype(np.int64))

    def router(self, kind: str, share: float = 0.5) -> Router[Any]:
        """Not fitted yet."""
        settings: Found = {"kind": kind, "share": share, "delegate": self.delegates[0], "estimators": EARLY}
        if kind != "threshold":
            settings["answer_features"] = "none"
        return make_router(AnyRouterConfig.model_validate(settings))


def decide(run: Opened, _: argparse.Namespace) -> Found:
    """Processor milliseconds (median) of deciding, and of the policy's answer, for one request and for a batch."""
    valid, found = run.data("valid"), Found()
    rows = np.random.default_rng(0).permutation(len(valid))
    for kind in ("threshold", "deferral"):
        router = run.router(kind).fit(valid)
        for size in (1, BATCH):
            queries = replace(run.cases["valid"].queries, k=TOP + 1)
            pieces = [queries.take(rows[i * size : (i + 1) * size]) for i in range(200 // size + 8)]
            looks = len(router.columns) > 1

            def deciding(batch: QueryBatch, router: Router[Any] = router, looks: bool = looks) -> float:
                agent, seen = run.agent, run.agent.observe(batch)
                began = time.thread_time()
                known = agent.estimate("before", batch, seen, None)
                router.assign({**known, **agent.features(batch, {})} if looks else known, batch.users.astype(np.int64))
                return time.thread_time() - began

            def answering(batch: QueryBatch) -> float:
                began = time.thread_time()
                run.agent.deliberate(batch, run.agent.observe(batch))
                return time.thread_time() - began

            warm = [sorted(deciding(piece) for _ in range(9))[4] for piece in pieces]
            between = [(answering(piece), deciding(piece)) for piece in pieces]
            middle = 1000 * np.median(np.column_stack([warm, between]), axis=0)
            names = "again and again", "policy", "between answers"
            found[f"{kind}, {size}"] = dict(zip(names, middle.tolist(), strict=True))
    return found


def share(run: Opened, _: argparse.Namespace) -> Found:
    """Wanted shares, and what comes of them on test by both places of the threshold."""
    valid, test, found = run.data("valid"), run.early(run.cases["test"].queries), Found()
    following = run.early(run.cases["valid"].sample(4096, 0).next_queries())
    keys = run.cases["test"].queries.users.astype(np.int64)
    for kind in ("threshold", "deferral"):
        router = run.router(kind).fit(valid, with_confidence=False)
        for wanted in (0.1, 0.2, 0.35, 0.5, 0.8):
            places = {"validation": valid.signals, "next": following}
            reached = {n: router.at_share(wanted, s).assign(test, keys).replaced.mean() for n, s in places.items()}
            found[f"{kind}, {wanted:g}"] = {name: float(value) for name, value in reached.items()}
    return found


def promise(run: Opened, given: argparse.Namespace) -> Found:
    """A share chosen on half of the users, judged by the others, seed by seed."""
    valid, test, rows = run.data("valid"), run.data("test"), list[Found]()
    for seed in range(given.seeds):
        chosen = np.random.default_rng(seed).random(int(valid.keys.max()) + 1) < 0.5
        mine, router = valid.take(chosen[valid.keys]), run.router(given.kind)
        size, what = share_for_loss(mine, router, FREE_LOSS, mine.keys, seed=seed, resamples=RESAMPLES)
        row: Found = {"share": size, "validation": what.value}
        router.fit(mine, with_confidence=False)
        for name, data in {"others, validation": valid, "others, test": test}.items():
            rest = data.take(~chosen[data.keys])
            assigned = router.at_share(size, rest.signals).assign(rest.signals, rest.keys)
            made = routed_quality(rest, assigned)
            row[name] = vars(relative_difference(made, rest.quality[rest.policy], rest.keys, seed=0, resamples=200))
        rows.append(row)
        print(run.path.name, seed, row["share"], row["others, test"]["value"], flush=True)
    return {"kind": given.kind, "delegate": run.delegates[0], "rows": rows}


def router_to(run: Opened, valid: CalibrationData, label: str) -> Router[Any]:
    """Learned, between the policy and one delegate."""
    alone = replace(valid, quality={name: valid.quality[name] for name in (run.policy, label)})
    config = AnyRouterConfig.model_validate({**run.router("deferral").config.own, "delegate": label})
    return make_router(config).fit(alone)


def timed(run: Opened, given: argparse.Namespace) -> Found:
    """The routed loop and the policy alone, in turn, for every delegate and share."""
    found, valid = Found(), run.data("valid")
    following = run.early(run.cases["valid"].sample(4096, 0).next_queries())
    rows = np.random.default_rng(1).permutation(len(run.cases["test"]))
    for label in run.delegates:
        router = router_to(run, valid, label)
        for wanted in given.shares:
            placed = router.at_share(wanted, following)
            agent = replace(run.agent, routers={Task.SEQUENTIAL: placed})
            for size in given.sizes:
                count = given.sample if size == 1 else given.batches
                found[f"{label}, {wanted:g}, {size}"] = pairs(run, agent, rows[: size * (count + 2)], size)
    return found


def curve(run: Opened, given: argparse.Namespace) -> Found:
    """Quality on test and the milliseconds of a request, by the share that goes to each delegate."""
    valid, test = run.data("valid"), run.data("test")
    following = run.early(run.cases["valid"].sample(4096, 0).next_queries())
    mine, found = test.quality[run.policy], Found(prices=price(run, given), points={})
    for label in run.delegates:
        router, gain = router_to(run, valid, label), np.sort(test.quality[label] - mine)[::-1]
        for wanted in np.linspace(0, 1, 11).tolist():
            assigned = router.at_share(wanted, following).assign(test.signals, test.keys)
            share = float(assigned.replaced.mean())
            found["points"].setdefault(label, []).append({
                "share": share,
                "random": float(mine.mean() + share * gain.mean()),
                "learned": float(routed_quality(test, assigned).mean()),
                "oracle": float(mine.mean() + gain[: round(share * len(gain))].sum() / len(gain)),
            })  # fmt: skip
    return found


def price(run: Opened, given: argparse.Namespace) -> Found:
    """Median milliseconds of a request, alone and in a batch, by who answers; and of deciding."""
    asked = {name: ask for name, ask in list_ways_to_ask(run.agent).items() if name in (run.policy, *run.delegates)}
    router = router_to(run, run.data("valid"), run.delegates[0])

    def deciding(batch: QueryBatch) -> None:
        seen = run.agent.observe(batch)
        known = {**run.agent.estimate("before", batch, seen, None), **run.agent.features(batch, {})}
        router.assign(known, batch.users.astype(np.int64))

    asked["deciding"] = deciding
    found = Found()
    for size, count in ((1, given.sample), (BATCH, given.batches)):
        middle = np.median(time_ways(run.agent, asked, run.cases["test"].queries, size, count), axis=0)
        for name, (clock, work) in zip(asked, middle.tolist(), strict=True):
            found.setdefault(name, {})[str(size)] = {"clock": clock, "work": work}
    return found


def time_ways(agent: Agent, ways: Mapping[str, Ask], queries: QueryBatch, size: int, count: int) -> Any:
    """float64[count, ways, 2] milliseconds of a request in batches of ``size``: by the clock, of the processor."""
    rng, asks = np.random.default_rng(2), list(ways.values())
    queries, rows = replace(queries, k=TOP), rng.permutation(len(queries))
    took = np.zeros((count + 2, len(ways), 2))
    for number in range(len(took)):
        batch = queries.take(rows[(number * size + np.arange(size)) % len(rows)])
        took[number], _ = time_once(agent, asks, batch, rng.permutation(len(asks)).tolist(), warm_up=not number)
    return 1000 * took[2:] / size


def time_once(agent: Agent, asks: Sequence[Ask], batch: QueryBatch, order: Sequence[int], *, warm_up: bool) -> Any:
    """float64[ways, 2] seconds of a batch, by the clock and of the processor; the answers. Nothing of it is kept."""
    took, answers = np.zeros((len(asks), 2)), list[Any](asks)
    with nullcontext() if warm_up else without_memory(agent):
        for column in order:
            began, worked = time.perf_counter(), time.thread_time()
            answers[column] = asks[column](batch)
            took[column] = time.perf_counter() - began, time.thread_time() - worked
    return took, answers


def pairs(run: Opened, agent: Agent, rows: np.ndarray, size: int) -> Found:
    """Mean milliseconds of both, the share, and the relative change with its interval: clock and processor."""
    alone = list_ways_to_ask(agent)[run.policy]
    queries, took, share = replace(run.cases["test"].queries, k=TOP), np.zeros((len(rows) // size, 2, 2)), []
    for number in range(len(took)):
        batch = queries.take(rows[number * size : (number + 1) * size])
        order = (number % 2, 1 - number % 2)
        took[number], answers = time_once(agent, (alone, agent.act), batch, order, warm_up=not number)
        share.append(float(answers[1].decisions.replaced.mean()))
    change: Found = {"share": float(np.mean(share[2:])), "n": len(took := took[2:])}
    for column, name in enumerate(("clock", "work")):
        relative = compare_seconds(took[:, 1, column], took[:, 0, column], 0)
        policy, routed = (1000 * took[:, :, column].mean(axis=0)).tolist()
        change[name] = {"policy": policy, "routed": routed, **vars(relative)}
    return change


PARTS = {"decide": decide, "share": share, "promise": promise, "time": timed, "curve": curve}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["measure", "table"])
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--parts", nargs="*", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--delegates", nargs="*", default=["distilled", "transitions"], help="the main one first")
    parser.add_argument("--kind", default="deferral", help="of the router whose promise is judged")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--shares", nargs="*", type=float, default=[0.0, 0.3, 0.6, 0.9])
    parser.add_argument("--sample", type=int, default=150)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--sizes", nargs="*", type=int, default=[1, BATCH], help="requests at once")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "reasonrec" / "acting-benchmark")
    given = parser.parse_args()
    if given.what == "table":
        write_table(given.work)
    for path in given.runs:
        import torch

        torch.set_num_threads(1)
        with threadpool_limits(1):
            run = Opened(path, tuple(given.delegates))
            for part in given.parts:
                given.work.mkdir(parents=True, exist_ok=True)
                kept = {"date": date.today().isoformat(), "found": PARTS[part](run, given)}
                (given.work / f"{path.name}.{part}.json").write_text(json.dumps(kept, indent=1) + "\n")
                print(path.name, part, "done", flush=True)


if __name__ == "__main__":
    main()
