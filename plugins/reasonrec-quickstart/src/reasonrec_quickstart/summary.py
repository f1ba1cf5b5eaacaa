"""What came of it, in a few plain sentences, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from pathlib import Path

import numpy as np

from reasonrec_core.data import Dataset
from reasonrec_core.evaluate import metric_name
from reasonrec_core.evaluate.schema import Estimate, Results
from reasonrec_core.evaluate.significance import ALPHA
from reasonrec_core.types import format_percent

POPULARITY = "popularity"
K = 10


def summarise_run(results: Results, asked: int) -> list[str]:
    """How good the run is, and whether that can be told from chance.

    Args:
        results: of the run.
        asked: how many test queries there were.
    """
    label = find_speaker(results)
    found = results.systems[label]
    if "AUC" in found:
        return [
            f"{label} predicts clicks with an AUC of {_interval(found['AUC'])} on {asked:,} test "
            "requests (0.5 is no better than a coin)."
        ]
    quality, hit = metric_name("NDCG", K), metric_name("HR", K)
    said = f"{label} has the next item among its first {K} for {_share(found[hit])} of {asked:,} test users"
    best_sellers = results.systems.get(POPULARITY)
    if best_sellers is None or label == POPULARITY:
        return [f"{said} (NDCG@{K} {_interval(found[quality])})."]
    said += f", best-sellers for {_share(best_sellers[hit])} (NDCG@{K} {_interval(found[quality])}"
    said += f" and {_interval(best_sellers[quality])})."
    return [said, _compare(results, label, quality)]


def find_speaker(results: Results) -> str:
    """Who answers: the policy; without one the delegate that is best on test."""
    if results.roles is not None and results.roles.policy is not None:
        return results.roles.policy
    first = next(iter(results.systems.values()))
    name = metric_name("NDCG", K) if metric_name("NDCG", K) in first else next(iter(first))
    return max(results.systems, key=lambda system: results.systems[system][name].value or 0.0)


def _compare(results: Results, label: str, metric: str) -> str:
    """Whether the difference to best-sellers is more than chance."""
    for row in results.comparisons:
        if row.metric == metric and {row.a, row.b} == {label, POPULARITY}:
            better = row.difference > 0 if row.a == label else row.difference < 0
            if row.p_corrected is None or row.p_corrected >= ALPHA:
                return (
                    "With so few test users there is no measurable difference from best-sellers: more data, "
                    "texts or pictures would help."
                )
            return (
                "That is significantly better than best-sellers."
                if better
                else ("Best-sellers are significantly better: this data has little to personalise by.")
            )
    return ""


def _interval(value: Estimate) -> str:
    if value.value is None:
        return "not known"
    if value.low is None or value.high is None:
        return f"{value.value:.3f}"
    return f"{value.value:.3f}, {value.low:.3f} to {value.high:.3f}"


def _share(value: Estimate) -> str:
    return "an unknown share" if value.value is None else format_percent(value.value)


def list_next_commands(run: Path, dataset: Dataset, verbs: Collection[str], *, ranks: bool) -> list[tuple[str, str]]:
    """What can be done with the run: command, and what it is for.

    Args:
        run: its folder.
        dataset: whose users may be asked about.
        verbs: that are installed.
        ranks: whether the run recommends; else it tells clicks.
    """
    folder = shlex.quote(str(run))
    found = [(f"reasonrec report {folder}", "show the table and the report again")]
    if not ranks:
        return found
    found.insert(
        0, (f"reasonrec recommend {folder} --user {_example_user(dataset)} --why", "one answer with its reasons")
    )
    if "serve" in verbs:
        found.insert(0, (f"reasonrec serve {folder}", "serve an API and a web page"))
    return found


def _example_user(dataset: Dataset) -> str:
    """A user with a history, as the command line takes it; one whose id can be shown."""
    ids, active = dataset.users.column("user_id").to_pylist(), np.unique(dataset.interactions.users)
    shown = (str(ids[user]) for user in active[:100].tolist())
    return shlex.quote(next((each for each in shown if each.isprintable() and not each.startswith("-")), "ID"))
