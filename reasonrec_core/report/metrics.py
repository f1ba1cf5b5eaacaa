"""What a reader must know about a metric: its family, its cut-off, which way is better, what it means."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

LOWER_IS_BETTER = frozenset({"logloss", "brier", "ece"})
DESCRIPTIVE = frozenset({"coverage", "novelty", "popularity"})
"""Families that describe a system without making it better or worse."""

MEANING = {
    "hr": "hit rate: share of queries with a relevant item among the first {k}",
    "recall": "share of a query's relevant items that are among the first {k}",
    "ndcg": "like the hit rate, but a hit counts less the further down it stands (1 at the top, 0.5 in third place)",
    "mrr": "mean of 1 / rank of the first relevant item, 0 beyond the first {k}",
    "precision": "share of the first {k} that is relevant",
    "map": "mean average precision over the first {k}",
    "coverage": "share of the catalogue that is recommended to anybody among the first {k}",
    "novelty": "how rare the recommended items are: mean of -log2 of their share of the training interactions",
    "popularity": "mean number of training interactions of the recommended items",
    "auc": "probability that a clicked item is ranked above one that was not clicked, over all rows",
    "uauc": "the same within each user, averaged over users",
    "gauc": "the same within each user, averaged with the user's number of rows as weight",
    "logloss": "mean negative log-likelihood of the clicks; lower is better",
    "brier": "mean squared distance of stated probability and outcome; lower is better",
    "rouge-l": "longest common word order of explanation and review, as F measure, times 100",
    "bleu-4": "shared runs of one to four words of explanations and reviews, over all of them, times 100",
    "verified": "share of all claims in explanations that the evidence of their request holds",
    "ece": "expected calibration error: mean distance of stated probability and observed frequency; lower is better",
}
_ORDER = (
    "ndcg",
    "hr",
    "mrr",
    "recall",
    "precision",
    "map",
    "auc",
    "uauc",
    "gauc",
    "logloss",
    "brier",
    "ece",
    "coverage",
    "rouge-l",
    "bleu-4",
    "verified",
)
_NAME = re.compile(r"^(?P<family>[A-Za-z][\w-]*)(?:@(?P<k>\d+))?(?:\[(?P<protocol>[^\]]+)\])?$")


@dataclass(frozen=True, order=True)
class Metric:
    """A metric's name, taken apart; sorts in the order of a table.

    Attributes:
        protocol: of sampled candidates (``uni99``), empty for full ranking.
        place: of the family in the usual order.
        k: cut-off, 0 where the metric has none; larger ones sort first.
        name: as it stands in ``metrics.json``.
        family: in lower case.
    """

    protocol: str
    place: int
    falling_k: int
    name: str
    family: str

    @property
    def k(self) -> int:
        """The cut-off, 0 where there is none."""
        return -self.falling_k

    @property
    def lower_is_better(self) -> bool:
        """Whether smaller values are better."""
        return self.family in LOWER_IS_BETTER

    @property
    def is_quality(self) -> bool:
        """Whether a better value makes a better system."""
        return self.family not in DESCRIPTIVE

    @property
    def meaning(self) -> str:
        """The definition in a few plain words; empty where the metric is not known here."""
        return MEANING.get(self.family, "").format(k=self.k or "all")


def parse(name: str) -> Metric:
    """Take ``NDCG@10[uni99]`` apart; a name of another shape is a family of its own."""
    match = _NAME.match(name)
    family = match["family"].lower() if match else name.lower()
    k = int(match["k"] or 0) if match else 0
    place = _ORDER.index(family) if family in _ORDER else len(_ORDER)
    return Metric((match["protocol"] or "") if match else "", place, -k, name, family)


def headline(names: Iterable[str]) -> Metric | None:
    """The metric that a report is about: NDCG at 10 or the largest cut-off, AUC for clicks.

    Full ranking goes before sampled candidates.
    """
    metrics = sorted(parse(name) for name in names)
    ten = [m for m in metrics if m.family == "ndcg" and m.k == 10 and m.protocol == metrics[0].protocol]
    return next(iter(ten or metrics), None)


def number(value: float | None) -> str:
    """A metric's value as text with about four digits that count, a dash where there is none."""
    if value is None:
        return "–"
    digits = 4 if abs(value) < 1 else 3 if abs(value) < 10 else 1
    return f"{value:.{digits}f}"


def signed(value: float, digits: int = 4) -> str:
    """A difference as text, with its sign (a true minus)."""
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def percent(share: float, digits: int = 0) -> str:
    """A share as text: 35 %; small ones keep a digit: 0.8 %."""
    if 0 < abs(share) < 0.0005:
        return "<\N{NO-BREAK SPACE}0.1\N{NO-BREAK SPACE}%"
    return f"{100 * share:.{max(digits, 1) if 0 < abs(share) < 0.02 else digits}f}\N{NO-BREAK SPACE}%"


def chance(p: float | None) -> str:
    """A p-value as text."""
    if p is None:
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}".rstrip("0").rstrip(".")
