"""Levels of thought, measured on a finished run: its policy is the top level, the delegates named are cheaper ones.

    python benchmarks/levels.py measure RUN --name ml-100k --delegates distilled chain cot-fusion [--test]
    python benchmarks/levels.py table                              # benchmarks/results/levels.md

``levels``: NDCG@10 of each level, in the order of their milliseconds, against the level below (paired by user, 95 %);
milliseconds of one request and of one in a batch of 256, all levels in turn, against the level below (paired by
request, processor time of the thread); and the NDCG gained for each further millisecond. ``curve``: at every tenth of
the share that the top level does not answer, the quality of a cascade of the levels, of the same mixture of levels at
random and of an oracle (each request to its best level, the largest gains first), with the milliseconds of a request:
those of all who are asked, and of deciding. ``free``: the largest share that is not inferior on validation by 1 %, and
what it comes to on test. ``time``: at some shares the routed loop and the top level alone, in turn. Validation alone is
looked at, but with ``--test``; routers learn from validation always. One thread.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from acting import BATCH, RESAMPLES, Found, Opened, pairs, time_ways
from routing_answers import TOP
from threadpoolctl import threadpool_limits

from reasonrec_core.io import write_json, write_text
from reasonrec_core.pipeline.latency import compare_seconds, list_ways_to_ask
from reasonrec_core.routing import AskingCosts, CalibrationData, Router, make_router
from reasonrec_core.routing.budget import relative_difference, routed_quality, share_for_loss
from reasonrec_core.routing.config import FREE_LOSS, AnyRouterConfig
from reasonrec_core.routing.decision import Assignment
from reasonrec_core.types import QueryBatch, Ranking, Task

RESULTS = Path(__file__).parent / "results"
KEPT = RESULTS / "levels.json"
SHARES = np.linspace(0, 1, 11)
PARTS = ("valid", "test")


class Levels(Opened):
    """A run whose delegates are levels, all of which a router may look at."""

    def look(self, queries: QueryBatch, answers: dict[str, Ranking]) -> Found:
        """What a router looks at: of the request, and of the levels' answers to it."""
        asked = replace(queries, k=TOP + 1)
        return {**self.early(queries), **self.agent.features(asked, answers, request=False)}

    def data(self, part: str) -> CalibrationData:
        """As of any run, with what the levels' answers tell."""
        made = super().data(part)
        kept = {label: self.arrays(label, part) for label in self.delegates}
        answers = {label: Ranking(a["items"][:, : TOP + 1], a["scores"][:, : TOP + 1]) for label, a in kept.items()}
        return replace(made, signals={**made.signals, **self.look(self.cases[part].queries, answers)})

    @cached_property
    def following(self) -> Found:
        """The same of the requests that come next, on which shares are placed."""
        queries = self.cases["valid"].sample(4096, 0).next_queries()
        asked = replace(queries, k=TOP + 1)
        answers: dict[str, Ranking] = {}
        for label in self.delegates:
            pieces = [self.agent.delegate(label, p, self.agent.observe(p)) for _, p in asked.chunks(BATCH)]
            arrays = [np.concatenate([getattr(p, name) for p in pieces]) for name in ("items", "scores")]
            answers[label] = Ranking(*arrays)
        return self.look(queries, answers)


def price_levels(run: Levels, given: argparse.Namespace) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """The levels, the cheapest first; milliseconds of a request by size of the batch, float64[count, levels, 2]."""
    ways = {name: ask for name, ask in list_ways_to_ask(run.agent).items() if name in (run.policy, *run.delegates)}
    queries = run.cases["test"].queries
    alone = time_ways(run.agent, ways, queries, 1, given.sample)
    order = np.argsort(alone[:, :, 1].mean(axis=0))
    sizes = {1: alone} | ({BATCH: time_ways(run.agent, ways, queries, BATCH, given.batches)} if given.batches else {})
    names = list(ways)
    return tuple(names[i] for i in order), {str(size): took[:, order] for size, took in sizes.items()}


def compare_levels(names: tuple[str, ...], data: dict[str, CalibrationData], took: dict[str, Any]) -> list[Found]:
    """A row per level: quality and time, each against the level below."""
    rows = list[Found]()
    for place, name in enumerate(names):
        row: Found = {"level": name, "ms": {}}
        for size, times in took.items():
            work, clock = times[:, place, 1], times[:, place, 0]
            row["ms"][size] = {
                "work": float(work.mean()),
                "median": float(np.median(work)),
                "clock": float(clock.mean()),
            }
            if place:
                row["ms"][size]["below"] = vars(compare_seconds(work, times[:, place - 1, 1], 0))
        for part, each in data.items():
            mine = each.quality[name]
            row[part] = {"ndcg": float(mine.mean())}
            if place:
                theirs = each.quality[names[place - 1]]
                row[part]["below"] = vars(relative_difference(mine, theirs, each.keys, seed=0, resamples=10_000))
                more = row["ms"]["1"]["work"] - rows[-1]["ms"]["1"]["work"]
                row[part]["per_ms"] = float((mine - theirs).mean() / more)
        rows.append(row)
    return rows


def make_cascade(kind: str, overhead: float) -> Router[Any]:
    """Not fitted yet; ``overhead`` as in ``[router]``."""
    settings: Found = {"kind": kind, "share": 0.5, "estimators": ("evidence-horizon",), "overhead": overhead}
    return make_router(AnyRouterConfig.model_validate(settings))


def spend(router: Router[Any], assigned: Assignment, prices: dict[str, float], policy: str) -> float:
    """Mean milliseconds of a request: of all levels that are asked on the way, of the policy where it answers."""
    total = np.where(assigned.replaced, 0.0, prices[policy])
    who = np.where(assigned.replaced, assigned.who, "")
    before = np.ones(len(who), np.bool_)  # a cascade asks its levels until one answers
    for label in router.asks:
        total += np.where(before, prices[label], 0.0)
        before &= who != label
    for label in sorted(set(who) - {"", *router.asks}):
        total += np.where(who == label, prices[label], 0.0)
    return float(total.mean())


def draw_curve(
    run: Levels, router: Router[Any], data: dict[str, CalibrationData], prices: dict[str, float], part: str
) -> Found:
    """Quality and milliseconds at every tenth of the share, and the share that costs nothing."""
    valid, judged = data["valid"], data[part]
    following, points = run.following, list[Found]()
    own = judged.quality[run.policy]
    best = np.sort(judged.gains(run.delegates).max(axis=1))[::-1]
    for wanted in SHARES.tolist():
        assigned = router.at_share(wanted, following).assign(judged.signals, judged.keys)
        who = np.where(assigned.replaced, assigned.who, run.policy)
        names, counts = np.unique(who.astype(str), return_counts=True)
        mixture = dict(zip(names.tolist(), (counts / len(who)).tolist(), strict=True))
        made, share = routed_quality(judged, assigned), float(assigned.replaced.mean())
        points.append({
            "share": share,
            "mixture": mixture,
            "learned": float(made.mean()),
            "change": vars(relative_difference(made, own, judged.keys, seed=0, resamples=RESAMPLES)),
            "random": sum(size * float(judged.quality[name].mean()) for name, size in mixture.items()),
            "oracle": float(own.mean() + best[: round(share * len(best))].sum() / len(best)),
            "ms": spend(router, assigned, prices, run.policy) + prices["deciding"],
        })  # fmt: skip
    size, what = share_for_loss(
        valid, router, FREE_LOSS, valid.keys, seed=0, resamples=RESAMPLES, following=lambda _: following
    )
    assigned = router.at_share(size, following).assign(judged.signals, judged.keys)
    change = relative_difference(routed_quality(judged, assigned), own, judged.keys, seed=0, resamples=10_000)
    free = {
        "share": size,
        "validation": vars(what),
        part: vars(change),
        "ms": spend(router, assigned, prices, run.policy),
    }
    return {"asks": list(router.asks), "points": points, "free": free}


def time_cascade(run: Levels, router: Router[Any], given: argparse.Namespace) -> Found:
    """The routed loop and the top level alone, in turn."""
    following, found = run.following, Found()
    rows = np.random.default_rng(1).permutation(len(run.cases["test"]))
    for wanted in given.shares:
        agent = replace(run.agent, routers={Task.SEQUENTIAL: router.at_share(wanted, following)})
        for size, count in ((1, given.sample), (BATCH, given.batches)):
            if count and len(rows) >= size * 8:
                found[f"{wanted:g}, {size}"] = pairs(run, agent, rows[: size * (count + 2)], size)
    return found


def time_deciding(run: Levels, router: Router[Any], given: argparse.Namespace) -> float:
    """Median processor milliseconds of deciding about one request; levels that are asked for that are not counted."""
    answers: dict[str, Ranking] = {}
    for label in router.asks:
        kept = run.arrays(label, "valid")
        answers[label] = Ranking(kept["items"][:1, : TOP + 1], kept["scores"][:1, : TOP + 1])

    def decide(batch: QueryBatch) -> None:
        router.assign(run.look(batch, answers), batch.users.astype(np.int64))

    took = time_ways(run.agent, {"deciding": decide}, run.cases["test"].queries, 1, given.sample)
    return float(np.median(took[:, 0, 1]))


def measure(given: argparse.Namespace) -> Found:
    """Everything of one run."""
    run = Levels(given.run, tuple(given.delegates))
    data = {part: run.data(part) for part in (PARTS if given.test else PARTS[:1])}
    names, took = price_levels(run, given)
    prices = dict(zip(names, took["1"][:, :, 1].mean(axis=0).tolist(), strict=True))
    seconds = {name: each / 1000 for name, each in prices.items()}
    costs = AskingCosts(policy=seconds.pop(run.policy), delegates=seconds)
    data = {part: replace(each, costs=costs) for part, each in data.items()}
    found: Found = {"levels": compare_levels(names, data, took), "kinds": {}, "top": run.policy}
    found |= {"n": {part: len(each) for part, each in data.items()}}
    part = "test" if given.test else "valid"
    for kind in given.kinds:
        router = make_cascade(kind, given.overhead).fit(data["valid"])
        prices["deciding"] = time_deciding(run, router, given)
        made = draw_curve(run, router, data, prices, part)
        found["kinds"][kind] = made | {"deciding": prices["deciding"]}
        if given.shares:
            found["kinds"][kind]["time"] = time_cascade(run, router, given)
        print(kind, json.dumps(made["free"]), flush=True)
    return found | {"part": part, "python": platform.python_version(), "date": given.date or str(date.today())}


def without_nan(value: Any) -> Any:
    """The same, as JSON has it: None for what is no number, such as the ends of an interval of few pairs."""
    if isinstance(value, dict):
        return {name: without_nan(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def percent(value: Found, digits: int = 1) -> str:
    """A relative difference with its interval."""
    if value["low"] is None:
        return f"{100 * value['value']:+.{digits}f} %"
    low, high = (f"{100 * value[end]:+.{digits}f}" for end in ("low", "high"))
    return f"{100 * value['value']:+.{digits}f} % ({low} to {high})"


def write_levels(name: str, found: Found) -> Iterator[str]:
    """The section of one run."""
    yield f"## {name}\n"
    counted = ", ".join(f"{count:,} {part}" for part, count in found["n"].items())
    yield f"{found['date']}, Python {found['python']}, {counted} requests; shares are judged on {found['part']}.\n"
    parts = [part for part in PARTS if part in found["levels"][0]]
    head = "".join(f" NDCG@10 {part} | against the level below | gained per ms |" for part in parts)
    yield f"| level | one request, ms | against the level below | one of a batch of {BATCH}, ms |{head}"
    yield "|---" * (4 + 3 * len(parts)) + "|"
    for row in found["levels"]:
        one, many = row["ms"]["1"], row["ms"].get(str(BATCH))
        cells = [f"{one['work']:.2f}", percent(one["below"], 0) if "below" in one else ""]
        cells.append(f"{many['work']:.3f}" if many else "")
        for part in parts:
            each = row[part]
            below = [percent(each["below"]), f"{each['per_ms']:+.5f}"] if "below" in each else ["", ""]
            cells += [f"{each['ndcg']:.4f}", *below]
        yield f"| {row['level']} | {' | '.join(cells)} |"
    for kind, made in found["kinds"].items():
        seen, took = ", ".join(made["asks"]) or "no answers", made["deciding"]
        yield f"\n`{kind}` looks at {seen}; deciding takes {took:.3f} ms.\n"
        yield f"| not to {found['top']} | who answers | random | learned | oracle | against {found['top']} alone | ms |"
        yield "|---|---|---|---|---|---|---|"
        for point in made["points"]:
            who = ", ".join(f"{label} {size:.0%}" for label, size in point["mixture"].items())
            quality = " | ".join(f"{point[way]:.4f}" for way in ("random", "learned", "oracle"))
            yield f"| {point['share']:.0%} | {who} | {quality} | {percent(point['change'])} | {point['ms']:.2f} |"
        free = made["free"]
        yield f"\n`free`: {free['share']:.0%}, on validation {percent(free['validation'])}, on {found['part']} " + (
            f"{percent(free[found['part']])}, {free['ms']:.2f} ms without deciding."
        )
        for where, each in made.get("time", {}).items():
            wanted, size = where.split(", ")
            yield f"\nShare {each['share']:.2f} (wanted {wanted}), {size} at once, {each['n']} pairs: " + (
                f"{percent(each['work'], 0)} of the processor's time, {percent(each['clock'], 0)} by the clock."
            )
    yield ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["measure", "table"])
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--name", help="of the section")
    parser.add_argument("--delegates", nargs="+", default=["distilled"], help="the levels below the policy")
    parser.add_argument("--kinds", nargs="*", default=["cascade", "deferral"], help="of routers")
    parser.add_argument("--overhead", type=float, default=0.5, help="of routers: time that asking may cost")
    parser.add_argument("--test", action="store_true", help="look at the test part, too")
    parser.add_argument("--shares", nargs="*", type=float, default=[0.3, 0.6, 0.9], help="at which the loop is timed")
    parser.add_argument("--sample", type=int, default=150, help="requests that are timed")
    parser.add_argument("--batches", type=int, default=8, help="batches that are timed")
    parser.add_argument("--date", default="")
    given = parser.parse_args()
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}
    if given.what == "measure":
        import torch

        torch.set_num_threads(1)
        with threadpool_limits(1):
            kept[given.name or given.run.name] = without_nan(measure(given))
        write_json(KEPT, kept)
    lines = [line for name, found in kept.items() for line in write_levels(name, found)]
    about = " ".join((__doc__ or "").split("\n\n")[2].split())
    write_text(RESULTS / "levels.md", "\n".join(["# Levels of thought\n", about, "", *lines]))


if __name__ == "__main__":
    main()
