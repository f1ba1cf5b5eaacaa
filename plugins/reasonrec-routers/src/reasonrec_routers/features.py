"""What learned routers look at besides estimators: requests, and what delegates answer to them.

Features are known before the policy thinks. They are recorded beside the estimators' values, so that a decision can be
made again from a trace. Each is in [0, 1] and a function of its query alone; unlike an estimator's value it need not
grow with doubt. What they mean for the choice between policy and delegate is learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import log1p

import numpy as np
import numpy.typing as npt

from reasonrec_core.routing import FEATURE, AnswerFeatures
from reasonrec_core.types import Float32, Float64, History, Int64, Ranking, Uncertainty
from reasonrec_routers.expected_gain import EXPECTED, encode_gain, expected_gain

TOP = 10
"""Overlap and popularity are those of the ten best."""
_REQUEST = ("length", "popularity", "last-popularity")
_REQUEST_NAMES = tuple(f"{FEATURE}{part}" for part in _REQUEST)
FIRST = np.zeros(1, np.intp)
_ANSWER = ("margin", "entropy", "total", "popularity")


class LearnedFeatures(AnswerFeatures):
    """`answer_features`, and as what the policy says of delegates what their answers are expected to gain."""

    def __init__(self) -> None:
        self._logarithms = np.zeros(0, np.int64), np.zeros(1)

    def names(self, delegates: Sequence[str]) -> tuple[str, ...]:
        """See `feature_names`."""
        return feature_names(delegates)

    def read(
        self, history: History, popularity: Int64, answers: Mapping[str, Ranking], *, request: bool = True
    ) -> dict[str, Uncertainty]:
        """See `answer_features`; the logarithms are worked out once, not by every request."""
        known, logarithms = self._logarithms
        if known is not popularity:
            logarithms = take_logarithms(popularity)
            self._logarithms = popularity, logarithms
        return answer_features(history, logarithms, answers, request=request)

    def compare(
        self, policy: Ranking, masses: Float32, delegates: Mapping[str, Ranking], depth: int
    ) -> dict[str, Uncertainty]:
        """See `expected_gain`."""
        gains = {label: expected_gain(policy, masses, theirs, depth) for label, theirs in delegates.items()}
        return {f"{EXPECTED}{label}": Uncertainty(encode_gain(each), "after") for label, each in gains.items()}


def feature_names(delegates: Sequence[str]) -> tuple[str, ...]:
    """The features that there are where these delegates have answered, sorted delegates first in every pair."""
    labels = sorted(delegates)
    names = [f"{FEATURE}{label}:{part}" for label in labels for part in _ANSWER]
    return (*_REQUEST_NAMES, *names, *(f"{FEATURE}{a}~{b}:overlap" for a, b in combinations(labels, 2)))


def take_logarithms(popularity: Int64) -> Float64:
    """float64[n_items + 1]: of one more than the popularity of each item, and 0 for an item that is not known."""
    return np.append(np.log1p(popularity), 0.0)


def answer_features(
    history: History, logarithms: Float64, answers: Mapping[str, Ranking], *, request: bool = True
) -> dict[str, Uncertainty]:
    """Every feature of B queries.

    Args:
        history: B rows.
        logarithms: of the popularity (`take_logarithms`).
        answers: delegate -> its ranking, all of one width: a feature depends on how much of an answer is seen.
        request: whether those of the request itself are wanted.

    Returns:
        By the names of `feature_names`, stage "before". ``length``: of the history, ``popularity``: its items' mean
        (of the logarithm), ``last-popularity``: its last item's; per delegate ``margin``: of the best score over the
        second, ``entropy``: of the scores above the lowest listed one, ``total``: their sum, the evidence for the
        answer, ``popularity``: of its ten best; ``overlap``: of two delegates' ten best.
    """
    found = dict(zip(_REQUEST_NAMES, _of_request(history, logarithms), strict=True)) if request else {}
    if not answers:
        return found
    for label in sorted(answers):
        for part, values in zip(_ANSWER, _of_answer(answers[label], logarithms), strict=True):
            found[f"{FEATURE}{label}:{part}"] = Uncertainty(values.astype(np.float32), "before")
    for a, b in combinations(sorted(answers), 2):
        overlap = _overlap(answers[a], answers[b]).astype(np.float32)
        found[f"{FEATURE}{a}~{b}:overlap"] = Uncertainty(overlap, "before")
    return found


def _of_request(history: History, logarithms: Float64) -> list[Uncertainty]:
    """What `_REQUEST` names."""
    popular = _of_items(history.items, logarithms)
    if len(history) == 1:  # the same in numbers: one request waits for every array operation
        if not (size := len(popular)):
            return [Uncertainty(np.zeros(1, np.float32), "before")] * 3
        length, mean, last = log1p(size), np.add.reduceat(popular, FIRST).item() / size, popular.item(-1)
        made = np.array((length / (1.0 + length), mean / (1.0 + mean), last / (1.0 + last)), np.float32)
        return [Uncertainty(made[:1], "before"), Uncertainty(made[1:2], "before"), Uncertainty(made[2:], "before")]
    lengths = history.lengths
    raw, some = np.zeros((3, len(lengths))), np.flatnonzero(lengths)
    np.log1p(lengths, raw[0])
    raw[1, some] = np.add.reduceat(popular, history.indptr[some]) / lengths[some]
    raw[2, some] = popular[history.indptr[some + 1] - 1]
    return [Uncertainty(values, "before") for values in (raw / (1.0 + raw)).astype(np.float32)]


def _of_answer(ranking: Ranking, logarithms: Float64) -> tuple[Float64, Float64, Float64, Float64]:
    listed = (ranking.items >= 0) & np.isfinite(ranking.scores)
    scores = np.where(listed, ranking.scores, 0.0).astype(np.float64)
    first = scores[:, 0]
    second = scores[:, 1] if scores.shape[1] > 1 else np.zeros(len(first))
    span = np.abs(first) + np.abs(second)
    margin = np.where(span > 0, (first - second) / np.where(span > 0, span, 1.0), 0.0)
    lowest = np.where(listed, scores, np.inf).min(axis=1, initial=np.inf)
    above = np.where(listed, scores - np.where(np.isfinite(lowest), lowest, 0.0)[:, None], 0.0)
    mass = above.sum(axis=1)
    share = above / np.where(mass > 0, mass, 1.0)[:, None]
    bits = -(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=1)
    entropy = np.where(mass > 0, bits / np.log(max(scores.shape[1], 2)), 1.0)
    total = np.arcsinh(scores.sum(axis=1))
    top = ranking.items[:, :TOP]
    count = np.maximum((top >= 0).sum(axis=1), 1)
    popular = _of_items(top, logarithms).sum(axis=1) / count
    return np.clip(margin, 0.0, 1.0), np.clip(entropy, 0.0, 1.0), 0.5 + 0.5 * _unit(total), _unit(popular)


def _overlap(one: Ranking, other: Ranking) -> Float64:
    a, b = one.items[:, :TOP], other.items[:, :TOP]
    both = (a[:, :, None] == b[:, None, :]) & (a >= 0)[:, :, None]
    return np.asarray(both.any(axis=2).sum(axis=1) / max(min(a.shape[1], b.shape[1]), 1))


def _of_items(items: npt.NDArray[np.int32], logarithms: Float64) -> Float64:
    """The logarithm of each item's popularity; 0 for padding and for items beyond the end."""
    return logarithms.take(items.view(np.uint32), mode="clip")  # padding is beyond every end


def _unit(values: Float64) -> Float64:
    """Any number into (-1, 1), in the same order."""
    return np.asarray(values / (1.0 + np.abs(values)))
