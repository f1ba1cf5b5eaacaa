"""Writes benchmarks/results/routing.md from the pieces that benchmarks/routing.py kept."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
SHARES = [f"{s / 10:.1f}" for s in range(1, 11)]
Found = dict[str, Any]
HEAD = """# Routing policies and their delegates

`python benchmarks/routing.py answer | prove | time DATA --fitted WORK/DATA/full/0/fitted`, then `table`; the policy is
the one that `python benchmarks/chain.py run DATA --variant full --seed 0` fitted; for `cot`, `--policy cot` and the one
of `python benchmarks/cot.py run ml-100k --seed 0 --minutes 60`. Python {python}, {date}, two cores of
an AMD EPYC, 24 GB, shared with up to six other processes: seconds by the clock are upper bounds, and processor time is
more than on a quiet machine, too (cold caches). Times of `chain` were taken by `nice -n -18`, `OMP_NUM_THREADS=1`.

Leave-one-out, full ranking, history masked, ties against the system. Everything is chosen on validation and decided
once on test. *Share*: the largest that is not inferior on validation (the lower end of the 95 % interval of the
relative difference in NDCG@10, paired bootstrap over users, every query decided by a router that was calibrated on the
other fifths of the users, is above -1 %; shares of 5, 10, ... percent in turn until one fails). *Confirmed*: so is the
interval on test. *Area*: mean over the shares of the routed quality minus that of random routing to the same delegates.
*Outcomes alone*: learned deferral before it learned from expected gains. Of learned deferral the ridge forms were
tried, not products. Conformal coverage is in [estimators.md](estimators.md).

Not wholly blind: Beauty's test queries were also decided on by an earlier chain-reflex with static gates (share .15),
and by routers that learned from the policy's held-out quality (.40, -.73 % [-1.41, -.07], not confirmed), before these;
hm-week's for an earlier chain (.1197 on test; share .20, -.43 % [-.91, +.07]) before this one, which is better by its
counted labels and so harder to stand in for. What was tried against the fall of hits was looked at on test in full.
The test queries of `cot` had been decided on for an earlier network (.1267; .15 by validation, not confirmed); the
times of `cot` and of hm-week are those of the earlier ones.

"""


def write_table(work: Path) -> None:
    """All data sets that have a proof."""
    lines = [HEAD.format(python=platform.python_version(), date=date.today().isoformat())]
    for folder in sorted(path.parent for path in work.glob("*/routers.json")):
        lines.append(f"## {folder.name}\n")
        for make in (shares, curves, quarters, ceiling, calibration, shifts, times):
            found = [*make(folder)]
            lines += [*found, ""] if found else []
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "routing.md").write_text("\n".join(lines).rstrip() + "\n")


def piece(folder: Path, name: str) -> Found:
    """What was kept, or nothing."""
    path = folder / f"{name}.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def policy(folder: Path) -> str:
    """Whom routers choose against."""
    return str(piece(folder, "proof").get("found", {}).get("policy", "chain"))


def interval(found: Found) -> str:
    """A relative difference."""
    return f"{found['value']:+.2%} ({found['low']:+.2%} to {found['high']:+.2%})"


def shares(folder: Path) -> Iterator[str]:
    """The share of every router."""
    systems = piece(folder, "proof").get("found", {}).get("systems", {})
    yield "Test NDCG@10: " + ", ".join(f"{n} {v:.4f}" for n, v in sorted(systems.items(), key=lambda e: -e[1])) + "."
    yield from ("", f"| router | share | validation | test, NDCG@10 | test, against {policy(folder)} | confirmed |")
    yield "|---|---|---|---|---|---|"
    for name, row in piece(folder, "routers").items():
        test = row["test"]
        confirmed = ("yes" if test["low"] > -0.01 else "no") if row["share"] else ""
        cells = [name, f"{row['share']:.2f}", interval(row["validation"]), f"{test['routed']:.4f}", interval(test)]
        yield f"| {' | '.join([*cells, confirmed])} |"


def curves(folder: Path) -> Iterator[str]:
    """Quality against share."""
    yield "Test NDCG@10 by the share that is delegated; *random*: to the delegates that the router above it chooses."
    yield ""
    yield f"| router | {' | '.join(SHARES)} | area |"
    yield f"|---|{'---|' * 11}"
    for name, row in piece(folder, "routers").items():
        yield f"| {name} | {' | '.join(f'{v:.4f}' for v in row['points'])} | {row['area']:+.5f} |"
        yield f"| random | {' | '.join(f'{v:.4f}' for v in row['random'])} | 0 |"
    best = piece(folder, "proof").get("found", {}).get("oracle", [])
    yield f"| oracle | {' | '.join(f'{v:.4f}' for v in best)} | |"


def quarters(folder: Path) -> Iterator[str]:
    """By evidence horizon."""
    yield (
        "By quarter of the evidence horizon, most is known first: share delegated, and test NDCG@10 against"
        f" {policy(folder)}."
    )
    yield from ("", "| router | 1 | 2 | 3 | 4 |", "|---|---|---|---|---|")
    for name, row in piece(folder, "routers").items():
        if row["share"]:
            cells = [f"{quarter['share']:.2f}, {interval(quarter)}" for quarter in row["quarters"]]
            yield f"| {name} | {' | '.join(cells)} |"


def ceiling(folder: Path) -> Iterator[str]:
    """What joining lists could gain, whoever joins them."""
    found = piece(folder, "ceiling").get("found")
    if not found:
        return
    systems = ", ".join(f"{name} {value:.4f}" for name, value in found["systems"].items())
    yield "What joining the lists could gain on the coldest quarter, on validation"
    yield f"(n = {found['n']}, cross-fitted): {systems};"
    yield f"all joined by a conditional logit of their ranks and scores {found['joined']:.4f}, against the policy"
    yield f"{interval(found['against policy'])}, against {found['best']} {interval(found['against best'])}."


def shifts(folder: Path) -> Iterator[str]:
    """Confidence moved without test labels."""
    found = piece(folder, "shift").get("found")
    if not found:
        return
    yield "Tried, and not used: the policy's confidence moved by what is known before test"
    yield f"(its hits moved by {found['in truth']:+.3f})."
    yield from (
        "",
        "| moved by | log-odds | mean stated | ECE | ECE, equal mass | Brier |",
        "|---|---|---|---|---|---|",
    )
    for name, row in found["ways"].items():
        cells = " | ".join(f"{row[key]:.4f}" for key in ("mean", "ece", "ece_mass", "brier"))
        yield f"| {name} | {row['by']:+.3f} | {cells} |"


def calibration(folder: Path) -> Iterator[str]:
    """Stated confidence."""
    found = piece(folder, "calibration").get("found")
    if not found:
        return
    whose = f"{found['hits']:.4f} of {policy(folder)}'s answers hit"
    yield f"P(target in top 10), test, where {whose}; share {found['share']:.2f}."
    yield from (
        "",
        "| answers, fitted to | mean stated | hits | ECE | by chance | ECE, equal mass | by chance | Brier |",
    )
    yield "|---|---|---|---|---|---|---|---|"
    for name, row in found.items():
        if isinstance(row, dict):
            cells = [row[key] for key in ("mean", "events", "ece", "chance", "ece_mass", "chance mass", "brier")]
            yield f"| {name} | {' | '.join(f'{value:.4f}' for value in cells)} |"


def times(folder: Path) -> Iterator[str]:
    """Milliseconds."""
    found = piece(folder, "time").get("found")
    if not found:
        return
    yield "Milliseconds of a request. *Served*: with the policy's steps in words, as `reasonrec recommend` answers."
    yield "*Work*: processor time of the answering thread. *Falls*: mean work against the policy alone; the bar is .9."
    for share, run in found.items():
        yield from ("", f"{run['router']}, share {share}, {run['share']:.2f} in the sample of {run['n']}:", "")
        yield from ("| | n | mean | p50 | p95 | work | falls | over the share |", "|---|---|---|---|---|---|---|---|")
        for name, row in run.items():
            if isinstance(row, dict) and "p50" in row:
                last = " | "
                if name in ("routed", "routed, served"):
                    fall = 1 - row["work"] / run[name.replace("routed", "policy")]["work"]
                    last = f"{fall:.1%} | {fall / max(run['share'], 1e-9):.2f}"
                cells = " | ".join(f"{row[key]:.2f}" for key in ("mean", "p50", "p95", "work"))
                yield f"| {name} | {row['n']} | {cells} | {last} |"
        batch = {name: run[f"{name}, in a batch"] for name in ("routed", "policy")}
        told = ", ".join(f"{name} {row['mean']:.2f} ({row['work']:.2f} work)" for name, row in batch.items())
        yield from ("", f"In a batch of 256, a request: {told}.")
