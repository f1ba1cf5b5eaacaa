"""What faithfulness came to over all queries, with paired bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reasonrec_core.evaluate.faithfulness import Effects
from reasonrec_core.evaluate.scores import Scores
from reasonrec_core.evaluate.significance import compare_all, summarise
from reasonrec_core.types import Float64, Int32, Task


def summarise_effects(effects: Effects, *, seed: int, resamples: int) -> dict[str, Any]:
    """As JSON values: how many queries, the best item's mean mass, and two tables.

    ``evidence`` has a row per measure with what was lost by the ``cited`` and by ``random`` evidence; ``edits`` one
    per item field with the share of the list that carries the label ``before`` and ``after``. Values have 95 %
    intervals; ``difference`` (cited - random, after - before) has the interval and p-value of the paired bootstrap,
    ``p_corrected`` is Holm's within its table.
    """
    mass = summarise(_scores(effects.users, {"mass": effects.mass}), seed=seed, resamples=resamples)["mass"]
    evidence = []
    for name, row in _pairs(effects.users, ("cited", effects.cited), ("random", effects.random), seed, resamples):
        kind, of, share = name.split("/")
        evidence.append({"measure": kind, "of": of, "share": float(share), **row})
    edits = [
        {"field": name, **row}
        for name, row in _pairs(effects.users, ("after", effects.after), ("before", effects.before), seed, resamples)
    ]
    return {"n": len(effects), "mass": mass, "evidence": evidence, "edits": edits}


def _pairs(
    users: Int32,
    ours: tuple[str, Mapping[str, Float64]],
    theirs: tuple[str, Mapping[str, Float64]],
    seed: int,
    resamples: int,
) -> list[tuple[str, dict[str, Any]]]:
    """Per measure both values with their intervals, and their paired comparison."""
    if not ours[1]:
        return []
    systems = {name: _scores(users, values) for name, values in (ours, theirs)}
    values = {name: summarise(scores, seed=seed, resamples=resamples) for name, scores in systems.items()}
    made = compare_all(systems, theirs[0], list(ours[1]), seed=seed, resamples=resamples)
    return [
        (
            each.metric,
            {name: values[name][each.metric] for name in systems}
            | {"difference": each.difference, "low": each.low, "high": each.high}
            | {"p": each.p, "p_corrected": each.p_corrected},
        )
        for each in made
    ]


def _scores(users: Int32, values: Mapping[str, Float64]) -> Scores:
    return Scores(Task.SEQUENTIAL, users, dict(values))
