"""Learned deferral: who is worth asking about a request, and what a delegate's answer to it is worth.

"Learning to defer" with one score per expert (Mozannar and Sontag, 2020; Verma and Nalisnick, 2022), for rankings: a
delegate's score is a regression of its quality minus the policy's on what is known before the policy thinks. Ordering
by the expected difference, rather than by the probability of one, keeps more quality: losing a first place costs more
than losing a tenth. The form of the regression, and whose answers it looks at, are those whose cross-fitted order
loses least over all shares, among those that are asked in a small part of the time that delegating saves.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from sklearn.model_selection import KFold

from reasonrec_core.errors import ConfigError
from reasonrec_core.routing.config import RouterConfig
from reasonrec_core.routing.deferral_model import Learned, single
from reasonrec_core.routing.features import clue_names
from reasonrec_core.routing.fitting import Lessons, choose, confidences, cut_for, decided
from reasonrec_core.routing.gain_model import FORMS, fit_regression
from reasonrec_core.routing.logistic import Calibrated
from reasonrec_core.routing.threshold import matrix
from reasonrec_core.types import Float64

Labels = tuple[str, ...]
FOLDS = 5
GAIN = ("gain",)
SOFT = ", of expected gains"
"""What is added to the name of a form that learned from `Lessons.expected`."""
LOG = logging.getLogger("reasonrec.router")


@dataclass(frozen=True)
class Crossed:
    """Cross-fitted scores float64[B, D] of delegates, of the form of regression that loses least over all shares.

    Attributes:
        names: the columns that they were learned from.
        at: float64[B, F] those columns.
        chosen: the form of the regression, and what it learned from.
        wanted: float64[B, D], what it was fitted to.
        scores: of each delegate, of queries that it did not learn from.
        areas: of all forms (see `area`).
    """

    names: tuple[str, ...]
    at: Float64
    chosen: str
    wanted: Float64
    scores: Float64
    areas: dict[str, float]

    @property
    def area(self) -> float:
        """Of what was chosen."""
        return self.areas[self.chosen]

    @property
    def form(self) -> str:
        """Of the regression."""
        return self.chosen.removesuffix(SOFT)


def learn_deferral(config: RouterConfig, lessons: Lessons) -> Learned:
    """A score per delegate, from the estimators and the clues."""
    main = choose(config, lessons.delegates)
    labels = candidates(config, lessons)
    gains = gains_of(lessons, labels)
    sets, soft = affordable(config, lessons, labels, main), expected_of(lessons, labels)
    tried = {asked: cross_fitted(config, lessons, asked, gains, expected=soft) for asked in sets}
    asks = max(sets, key=lambda asked: tried[asked].area)  # of equals the first, which asks least
    made = _assembled(config, lessons, labels, main, asks, tried[asks])
    if asks:
        bare = tried[()] if () in tried else cross_fitted(config, lessons, (), gains, expected=soft)
        with suppress(ConfigError):  # a risk that is out of its reach: the policy answers where a delegate fails
            made.spare = _assembled(config, lessons, labels, main, (), bare)
    made.report["asked"] = {" and ".join(asked) or "nobody": tried[asked].area for asked in sets}
    return made


def candidates(config: RouterConfig, lessons: Lessons) -> Labels:
    """Whom requests may go to."""
    return tuple(sorted(lessons.delegates)) if config.delegate == "best" else (choose(config, lessons.delegates),)


def gains_of(lessons: Lessons, labels: Labels) -> Float64:
    """float64[B, D]: quality of each delegate's answer minus the policy's."""
    return np.stack([lessons.delegates[label] - lessons.policy for label in labels], axis=1)


def expected_of(lessons: Lessons, labels: Labels) -> Float64 | None:
    """float64[B, D]: what each delegate's answer is expected to gain; None where that is not known of all."""
    known = lessons.expected or {}
    return np.stack([known[label] for label in labels], axis=1) if set(labels) <= set(known) else None


def affordable(config: RouterConfig, lessons: Lessons, labels: Labels, main: str) -> list[Labels]:
    """Sets of delegates that may be asked before it is decided, the cheapest first; always nobody.

    Where costs are known: each by itself and the cheapest few, of those that leave most of what is saved.
    """
    if config.clues == "none":
        return [()]
    if config.clues not in ("auto", "all"):
        unknown = [label for label in config.clues if label not in labels]
        if unknown:
            raise ConfigError(
                f"no delegate {unknown[0]!r} to ask for clues",
                where="router.clues",
                fix=f"Delegates: {', '.join(labels)}.",
            )
        return [tuple(sorted(config.clues))]
    if config.clues == "all" or lessons.costs is None:
        return [labels]
    costs, share = lessons.costs, 0.5 if config.share is None else config.share
    cheap = sorted(labels, key=lambda label: (costs.delegates[label], label))
    sets = [tuple(sorted(cheap[:size])) for size in range(len(cheap) + 1)] + [(label,) for label in cheap]
    kept = [asked for asked in dict.fromkeys(sets) if costs.affordable(asked, main, share, config.overhead)]
    if kept == [()]:
        LOG.info("delegates are not asked for clues: that would take more than it may (router.overhead)")
    return sorted(kept, key=lambda asked: sum(costs.delegates[label] for label in asked))


def cross_fitted(
    config: RouterConfig,
    lessons: Lessons,
    asked: Labels,
    gains: Float64,
    pairs: bool = True,
    expected: Float64 | None = None,
) -> Crossed:
    """Scores of queries that were not learned from.

    Args:
        config: its seed draws the folds.
        lessons: what is learned from.
        asked: delegates whose answers are looked at.
        gains: float64[B, D] what is learned, and what an order is judged by.
        pairs: whether answers are compared with each other as well.
        expected: float64[B, D] the same as it is expected; to learn from that is tried, too.
    """
    names = (*lessons.used, *(name for name in clue_names(asked) if pairs or "~" not in name))
    missing = [name for name in names if name not in lessons.uncertainty]
    if missing:
        raise ConfigError(
            f"learned deferral needs what delegates answered, and there is no {missing[0]!r}",
            where="router.kind",
            fix="Run the pipeline with this version and a [router], so that its trace holds them.",
        )
    at = matrix(lessons.uncertainty, names, len(lessons.policy))
    if len(at) < 2 * FOLDS:
        raise ConfigError(
            f"learned deferral cannot be fitted to {len(at)} validation queries",
            where="router.kind",
            fix='Use kind = "threshold".',
        )
    folds = list(KFold(FOLDS, shuffle=True, random_state=config.seed).split(at))
    targets = {"": gains} if expected is None else {"": gains, SOFT: expected}
    found: dict[str, Float64] = {}
    for (kind, wanted), form in product(targets.items(), FORMS):
        crossed = np.empty_like(gains)
        for fit, held in folds:
            for column in range(gains.shape[1]):
                model = fit_regression(form, at[fit], wanted[fit, column], config.seed)
                crossed[held, column] = model(at[held])
        found[form + kind] = crossed
    areas = {each: area(crossed, gains) for each, crossed in found.items()}
    best = max(FORMS, key=lambda each: areas[each])
    if expected is not None:
        soft = max((form + SOFT for form in FORMS), key=lambda each: areas[each])
        gap = _by_query(found[best], gains) - _by_query(found[soft], gains)
        if not gap.mean() > gap.std() / np.sqrt(len(gap)):  # outcomes must be the better teacher by a standard error
            best = soft
    wanted = targets[SOFT if best.endswith(SOFT) else ""]
    return Crossed(names, at, best, wanted, single(found[best]), areas)


def area(scores: Float64, gains: Float64) -> float:
    """Mean gain over all shares if queries are given away in the order of their best delegate's score.

    Args:
        scores: float64[B, D].
        gains: float64[B, D] quality of each delegate's answer minus the policy's.
    """
    return float(_by_query(scores, gains).mean())


def _by_query(scores: Float64, gains: Float64) -> Float64:
    """float64[B]: what each query adds to `area`: its gain times the part of all shares at which it is given away."""
    rows, who = np.arange(len(scores)), scores.argmax(axis=1)
    part = np.empty(len(rows))
    part[np.argsort(-scores[rows, who], kind="stable")] = 1.0 - rows / max(len(rows), 1)
    return np.asarray(gains[rows, who] * part)


def bounds(gains: Float64) -> dict[str, float]:
    """Areas of an oracle, and of a random order."""
    return {"oracle": area(gains, gains), "random": float(gains.mean(axis=0).max() / 2)}


def _assembled(
    config: RouterConfig, lessons: Lessons, labels: Labels, main: str, asks: Labels, crossed: Crossed
) -> Learned:
    """The router of one set of clues."""
    gains = gains_of(lessons, labels)
    kept = _worth_it(crossed.scores, gains, labels.index(main))
    labels, scores, gains = tuple(labels[i] for i in kept), crossed.scores[:, kept], gains[:, kept]
    rows, who = np.arange(len(scores)), scores.argmax(axis=1)
    best, difference = scores[rows, who], gains[rows, who]
    wanted = crossed.wanted[:, kept]
    models = tuple(fit_regression(crossed.form, crossed.at, column, config.seed) for column in wanted.T)
    columns = (crossed.names,) * len(labels)
    made: Learned = calibrated(config, lessons, Learned, main, labels, asks, columns, models, best, difference)
    made.report |= {
        "form": crossed.chosen,
        "areas": crossed.areas | bounds(gains_of(lessons, candidates(config, lessons))),
    }
    return made


def calibrated(
    config: RouterConfig,
    lessons: Lessons,
    kind: type[Learned],
    main: str,
    labels: Labels,
    asks: Labels,
    columns: tuple[tuple[str, ...], ...],
    models: tuple[Any, ...],
    best: Float64,
    difference: Float64,
) -> Any:
    """A router with its cut and its probabilities.

    Args:
        config: what is wanted.
        lessons: what is learned from.
        kind: of the result.
        main, labels, asks, columns, models: see `Learned`.
        best: float64[B] cross-fitted score of the delegate that would answer.
        difference: float64[B] its quality minus the policy's.
    """
    worse, better = (
        Calibrated.fit(GAIN, best[:, None], event, config.seed) for event in (difference > 0, difference < 0)
    )
    by_gain = config.share is not None
    place = best if by_gain else single(worse(best[:, None]))
    cut = cut_for(config, place)
    report = decided(lessons, cut(place, lessons.keys), worse(best[:, None]), lessons.policy + difference)
    report |= {"delegates": list(labels), "asks": list(asks)}
    hits = lessons.delegate_hit
    theirs = tuple(confidences(config, lessons, hits[label]) for label in labels) if hits else ()
    own = confidences(config, lessons, lessons.hit)
    others = lessons.others(labels)
    return kind(main, labels, asks, columns, models, worse, better, by_gain, cut, own, theirs, report, others)


def _worth_it(crossed: Float64, gains: Float64, main: int) -> list[int]:
    """All delegates where choosing among them gains more than the best one alone; else that one."""
    columns: Sequence[int] = range(gains.shape[1])
    alone = max([main, *columns], key=lambda i: area(crossed[:, [i]], gains[:, [i]]))
    return list(columns) if area(crossed, gains) > area(crossed[:, [alone]], gains[:, [alone]]) else [alone]
