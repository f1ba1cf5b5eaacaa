"""How sure an answer is, whoever gave it: learned from signals, then recalibrated for each way that a request can go.

A router's regressions turn signals into P(the target is among the first items) for any answer of the policy, or of a
delegate. Which answers are given depends on more than those signals, so what is stated is recalibrated way by way, on
validation queries whose raw confidence came from regressions that had not seen them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reasonrec_core.errors import PluginError
from reasonrec_core.routing.calibration import Recalibration, choose_recalibration
from reasonrec_core.routing.calibration_data import CalibrationData
from reasonrec_core.routing.config import RouterConfig
from reasonrec_core.routing.decision import Names, Threshold, threshold_for_risk, threshold_for_share
from reasonrec_core.routing.logistic import FOLDS, MIN_PER_CLASS, Logistic, cross_fit
from reasonrec_core.routing.signals import Signals, read_columns, signal, signal_matrix, take_signals
from reasonrec_core.types import Bool, Float32, Float64, Int64, Route


def way(delegate: str) -> str:
    """What is called the way of a request that this delegate answers; others are called by their `Route`."""
    return f"{Route.REPLACE}:{delegate}"


def ways_of(route: Names, who: Names) -> Names:
    """str[B]: "self", "consult", "abstain", or `way` of the delegate that answers."""
    made = route.copy()
    for name in set(who) - {""}:
        made[who == name] = way(name)
    return made


def early_signals(config: RouterConfig, signals: Signals) -> Signals:
    """The signals that there are when a delegate answers: those that need no answer, where it is decided before."""
    if config.stage == "after":
        return signals
    return {name: value for name, value in signals.items() if value.stage == "before"}


def fit_confidence(config: RouterConfig, data: CalibrationData, system: str) -> tuple[Logistic, ...]:
    """P(hit) from all estimators, and from those that need no answer; none where hits are not known."""
    event, known = data.hit.get(system), data.signals
    if event is None:
        return ()
    early = tuple(name for name in config.estimators if signal(known, name).stage == "before")  # need no answer
    sets = [names for names in dict.fromkeys((config.estimators, early)) if names]
    return tuple(Logistic.fit(n, signal_matrix(known, n, len(event)), event, config.seed) for n in sets)


def predict_confidence(models: tuple[Logistic, ...], signals: Signals) -> Float32:
    """float32[B] by the first model all of whose signals are there."""
    for model in models:
        if signals.keys() >= set(model.names):
            return model.predict(read_columns(signals, model.names)).astype(np.float32)
    raise PluginError(f"confidence needs the estimators {', '.join(models[-1].names)}")


def raw_confidence(
    config: RouterConfig, models: Mapping[str, tuple[Logistic, ...]], signals: Signals, who: Names
) -> Float32:
    """float32[B]: confidence in the answers of str[B] ``who`` ("" for the policy), NaN where there is no model of it.

    A delegate that answers before the policy has thought is judged by the signals that are there by then; signals
    that came later may be NaN in those rows. ``models`` are by system, the policy's under "".
    """
    made, every = np.full(len(who), np.nan, np.float32), sorted(set(who))
    for system in every:
        if models.get(system):
            known = early_signals(config, signals) if system else signals
            if len(every) == 1:
                return predict_confidence(models[system], known)
            rows = who == system
            made[rows] = predict_confidence(models[system], take_signals(known, rows))
    return made


def recalibrate(raw: Float32, maps: Mapping[str, Recalibration], route: Names, who: Names) -> Float32:
    """float32[B]: raw confidence as it is stated, by the map of the way that each query goes; NaN stays."""
    made = raw.copy()
    for to, by in set(zip(route.tolist(), who.tolist(), strict=True)) if maps else ():
        if (recalibration := maps.get(way(by) if by else to)) is not None:
            rows = ... if len(raw) == 1 else (route == to) & (who == by)
            made[rows] = recalibration(raw[rows])
    return made


def hold_back(abstention: Threshold | None, confidence: Float32, keys: Int64 | None) -> Bool:
    """bool[B]: where an answer of this confidence is not given."""
    return np.zeros(len(confidence), np.bool_) if abstention is None else abstention(doubt(confidence), keys)


def doubt(confidence: Float32) -> Float64:
    """float64[B]: 1 - confidence; 0 where it is not known, as such an answer is always given."""
    return np.where(np.isnan(confidence), 0.0, 1.0 - confidence.astype(np.float64))


def place_abstention(config: RouterConfig, confidence: Float32, keys: Int64) -> tuple[Threshold, dict[str, Any]]:
    """The threshold on doubt by the stated confidence of validation answers, and what it comes to there.

    Raises:
        ConfigError: a selective risk out of reach.
    """
    doubts = doubt(confidence)
    if config.abstain is not None:
        placed = threshold_for_share(doubts, config.abstain, config.seed)
    else:
        placed = threshold_for_risk(doubts, config.selective_risk or 0.0, config.seed, "router.selective_risk")
    kept = ~placed(doubts, keys)
    risk = float(doubts[kept].mean()) if kept.any() else None
    return placed, {"coverage": float(kept.mean()), "risk": risk, "level": 1.0 - placed.level}


def fit_confidence_calibration(
    config: RouterConfig, data: CalibrationData, delegates: Sequence[str], ways: Names
) -> dict[str, Recalibration]:
    """The maps by way, fitted to validation queries.

    A way that few validation queries go is fitted to all answers of its system.

    Args:
        config: of the router.
        data: what it was fitted to.
        delegates: whom requests may go to.
        ways: str[B] the way that each query goes: "self", "consult", or `way` of a delegate.
    """
    own, early = cross_fit_confidence(config, data, data.policy, data.signals), early_signals(config, data.signals)
    every = np.ones(len(data), np.bool_)
    cases: dict[str, tuple[Float64, Bool, Bool]] = {str(Route.SELF): (own, data.hit[data.policy], every)}
    for label in delegates:
        cases[way(label)] = (cross_fit_confidence(config, data, label, early), data.hit[label], every)
    if data.consulted is not None and (ways == str(Route.CONSULT)).any():
        cases[str(Route.CONSULT)] = (own, data.consulted.hit, data.consulted.asked)
    maps = {}
    for name, (raw, event, known) in cases.items():
        rows = ways == name
        if min(int(event[rows].sum()), int((~event[rows]).sum())) < MIN_PER_CLASS:
            rows = known
        maps[name] = choose_recalibration(raw[rows], event[rows], config.seed)
    return maps


def cross_fit_confidence(config: RouterConfig, data: CalibrationData, system: str, seen: Signals) -> Float64:
    """float64[B]: raw confidence in a system's answers, each from a regression that was fitted to other folds.

    ``seen`` are the signals that there are when the system, the policy or a delegate, answers.
    """
    size = len(data)
    fold = np.random.default_rng(config.seed).permutation(size) % min(FOLDS, size)
    folds = [(fold != each if size > 1 else fold == each, fold == each) for each in np.unique(fold)]

    def fit(rest: Any) -> Any:
        models = fit_confidence(config, data.take(rest), system)
        return lambda rows: predict_confidence(models, take_signals(seen, rows)).astype(np.float64)

    return cross_fit(folds, size, fit)
