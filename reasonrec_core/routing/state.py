"""What a router learns: of validation queries by its kind, and what follows from that for all kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import Field

from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.routing.calibration import Recalibration
from reasonrec_core.routing.calibration_data import CalibrationData
from reasonrec_core.routing.config import RouterConfig
from reasonrec_core.routing.decision import Rows, Threshold, threshold_for_risk, threshold_for_share
from reasonrec_core.routing.logistic import ArrayModel, Logistic
from reasonrec_core.routing.signals import Signals, read_columns, signal, single
from reasonrec_core.types import Float64

GAIN = ("gain",)
"""Names of the columns of a probability that follows from the score alone."""


class RouterState(ArrayModel):
    """What a router has learned; a kind may add fields of its own.

    Attributes:
        main: the delegate that is best on average, of those that requests may go to.
        delegates: whom requests may go to, in the order of the scores; the first of equally good ones answers.
        asks: delegates whose answers are looked at before it is decided.
        others: further delegates for when those fail, the best on average first.
        worse, better: P(the policy's answer is worse, better than that of the best delegate), from its score (`GAIN`)
            or from signals.
        by_score: whether queries are ordered by the score (a wanted share) or by ``worse`` (a wanted risk).
        threshold: on that order.
        confidence: by system ("" for the policy), P(the target is among its ten best) from all estimators, and from
            the early ones.
        abstention: on doubt (1 - confidence), above which no answer is given; None where all are.
        calibration: what turns confidences into those that are stated, by way (`confidence.way`).
        consults: whether the policy is told what delegates answer where ``consult`` says so; only where that gained.
        batches: requests in a batch -> whether handing some of it over saved time; empty where it was not measured.
        report: how fitting went.
    """

    main: str
    delegates: tuple[str, ...]
    asks: tuple[str, ...]
    others: tuple[str, ...]
    worse: Logistic
    better: Logistic
    by_score: bool
    threshold: Threshold
    confidence: dict[str, tuple[Logistic, ...]]
    abstention: Threshold | None = None
    calibration: dict[str, Recalibration] = Field(default_factory=dict)
    consults: bool = False
    batches: dict[int, bool] = Field(default_factory=dict)
    report: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class LearnedScores:
    """What a kind learns from validation queries.

    Attributes:
        delegates: whom requests may go to, D of them.
        scores: float64[B, D] of these queries, at single precision (`single`); cross-fitted where they were learned
            from them.
        best: intp[B] which delegate would answer; that of the largest score if None.
        asks: delegates whose answers are looked at before it is decided.
        state: fields of the kind's own `RouterState`; ``worse`` and ``better`` where they do not follow from the score.
        report: what the report shall hold besides.
    """

    delegates: tuple[str, ...]
    scores: Float64
    best: Rows | None = None
    asks: tuple[str, ...] = ()
    state: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)


def check_calibration_data(config: RouterConfig, data: CalibrationData) -> None:
    """Refuse validation queries that a router cannot be fitted to.

    Raises:
        ConfigError: there are none, or an unknown delegate or estimator.
        PluginError: quality that does not fit them.
    """
    if not len(data):
        raise ConfigError("routing cannot be calibrated without validation requests", where="router")
    for name, values in data.quality.items():
        if len(values) != len(data):
            raise PluginError(f"the quality of {name!r} has {len(values)} values instead of {len(data)}")
    data.choose(config.delegate)
    for name in config.estimators:
        signal(data.signals, name)


def build_state(
    kind: type[RouterState], config: RouterConfig, data: CalibrationData, learned: LearnedScores
) -> RouterState:
    """What follows from ``learned`` scores of the validation queries; a `ConfigError` where a risk is out of reach."""
    parts, rows = dict(learned.state), np.arange(len(data))
    best = learned.scores.argmax(axis=1) if learned.best is None else learned.best
    gain, difference = learned.scores[rows, best], data.gains(learned.delegates)[rows, best]
    if "worse" not in parts:
        for name, event in (("worse", difference > 0), ("better", difference < 0)):
            parts[name] = Logistic.fit(GAIN, gain[:, None], event, config.seed)
    risk = probability(parts["worse"], data.signals, gain)
    by_score = config.share is not None
    order = gain if by_score else single(risk)
    threshold = place_threshold(config, order)
    replaced, own = threshold(order, data.keys), data.quality[data.policy]
    main = data.choose(config.delegate)
    report = {
        "share": float(replaced.mean()),
        "kept_risk": float(risk[~replaced].mean()) if not replaced.all() else None,
        "quality": data.mean_quality(),
        "routed_quality": float(np.mean(np.where(replaced, own + difference, own))),
        "delegates": list(learned.delegates),
        "asks": list(learned.asks),
    }
    return kind(
        main=main if main in learned.delegates else learned.delegates[0],
        delegates=learned.delegates,
        asks=learned.asks,
        others=data.others(learned.delegates) if config.delegate == "best" else (),
        by_score=by_score,
        threshold=threshold,
        confidence={},
        report={**report, **learned.report},
        **parts,
    )


def place_threshold(config: RouterConfig, order: Float64) -> Threshold:
    """Where the wanted share is, or the wanted risk if ``order`` is one."""
    if config.share is not None:
        return threshold_for_share(order, config.share, config.seed)
    assert config.risk is not None
    return threshold_for_risk(order, config.risk, config.seed)


def probability(model: Logistic, signals: Signals, gain: Float64) -> Float64:
    """float64[B]: of ``worse`` or ``better``, from float64[B] scores or from signals."""
    return model.predict([gain] if model.names == GAIN else read_columns(signals, model.names))
