"""The router `threshold`: one delegate answers where the estimators say that the policy is likely worse.

Hits come in both or in neither where a query is easy or hopeless, so P(worse) alone is largest where P(better) is, too,
and a share chosen by it costs more than a random one: a share is ordered by P(worse) - P(better).
"""

from __future__ import annotations

import numpy as np

from reasonrec_core.errors import ConfigError
from reasonrec_core.routing import (
    Assignment,
    CalibrationData,
    LearnedScores,
    Logistic,
    Router,
    RouterConfig,
    Signals,
    read_columns,
    signal,
    signal_matrix,
    single,
)
from reasonrec_core.types import Float64, format_percent
from reasonrec_routers.config import choose_estimators, name_share

MEANINGS = {
    "evidence-horizon": "how little is known about the user",
    "entropy": "how spread the policy's distribution is",
    "margin": "how close the runner-up is",
}


class ThresholdRouter(Router[RouterConfig]):
    """One delegate, and a threshold on P(worse) - P(better), or on P(worse) where a risk is wanted."""

    def learn(self, data: CalibrationData) -> LearnedScores:
        """Two logistic regressions on the estimators."""
        delegate, used = data.choose(self.config.delegate), choose_estimators(self.config, data.signals)
        if not used:
            raise ConfigError(
                "none of the estimators works before the policy answers",
                where="router.estimators",
                fix='Add "evidence-horizon", or set router.stage = "after".',
            )
        at, difference = signal_matrix(data.signals, used, len(data)), data.gains((delegate,))[:, 0]
        worse, better = (Logistic.fit(used, at, event, self.config.seed) for event in (difference > 0, difference < 0))
        scores = single(worse(at) - better(at))[:, None]
        return LearnedScores((delegate,), scores, state={"worse": worse, "better": better})

    def score(self, signals: Signals) -> Float64:
        """float64[B, 1]: P(worse) - P(better)."""
        at = read_columns(signals, self.columns)
        return single(self.state.worse.predict(at) - self.state.better.predict(at))[:, None]

    @property
    def columns(self) -> tuple[str, ...]:
        """The estimators."""
        names: tuple[str, ...] = self.state.worse.names
        return names

    def explain(self, signals: Signals, assigned: Assignment) -> list[str]:
        """The probabilities, and the estimators' values that they follow from."""
        names, at = self.columns, signal_matrix(signals, self.columns)
        values = np.stack([signal(signals, name).total for name in names], axis=1)
        rows = zip(self.state.worse(at), self.state.better(at), assigned.order, assigned.replaced, values, strict=True)
        reasons = []
        for worse, better, place, replaced, row in rows:
            words = (f"{MEANINGS.get(n, n)} ({v:.2f})" for n, v in zip(names, row, strict=True))
            because = self._chances(float(worse), float(better), float(place), bool(replaced))
            reasons.append(f"{because}; judged by {', '.join(words)}")
        return reasons

    def _chances(self, worse: float, better: float, place: float, replaced: bool) -> str:
        who, threshold = self.delegate, self.state.threshold
        if not self.state.by_score:
            return f"the risk that it is worse than {who} is {format_percent(worse, 1)}{threshold.words(place, '.3f')}"
        often, seldom = format_percent(better, 1), format_percent(worse, 1)
        chances = f"in cases like this the policy is better than {who} in {often} and worse in {seldom}"
        if replaced and place < 0:
            return f"needed to meet {name_share(self.config)}, although the policy is usually better here ({chances})"
        if not replaced and place > 0:
            return f"{chances}, but other requests gain more from {who} and fill {name_share(self.config)}"
        return chances
