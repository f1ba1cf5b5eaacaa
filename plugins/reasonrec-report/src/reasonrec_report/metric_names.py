"""Names of metrics, taken apart: ``NDCG@10[uni99]``; what is known of each, and its value as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reasonrec_core.evaluate.ctr_metrics import CLICK_METRICS
from reasonrec_core.evaluate.ranking_metrics import RANKING_METRICS
from reasonrec_core.evaluate.schema import MetricFacts
from reasonrec_report.number_format import format_digits

BUILT_IN = {
    m.name.lower(): MetricFacts(better=m.better, meaning=m.meaning, order=m.order)
    for m in (*RANKING_METRICS, *CLICK_METRICS)
}
"""By family; results of earlier releases do not say it themselves."""
_NAME = re.compile(r"^(?P<family>[A-Za-z][\w-]*)(?:@(?P<k>\d+))?(?:\[(?P<protocol>[^\]]+)\])?$")


@dataclass(frozen=True, order=True)
class ParsedMetric:
    """A metric's name, taken apart; sorts in the order of a table.

    Attributes:
        protocol: of sampled candidates (``uni99``), empty for full ranking.
        place: of the family in the usual order.
        k: cut-off, 0 where the metric has none; larger ones sort first.
        name: as it stands in ``metrics.json``.
        family: in lower case.
        facts: what must be known about it.
    """

    protocol: str
    place: int
    falling_k: int
    name: str
    family: str
    facts: MetricFacts = field(default=MetricFacts(), compare=False)

    @property
    def k(self) -> int:
        """The cut-off, 0 where there is none."""
        return -self.falling_k

    @property
    def lower_is_better(self) -> bool:
        """Whether smaller values are better."""
        return self.facts.better == "lower"

    @property
    def is_quality(self) -> bool:
        """Whether a better value makes a better system."""
        return self.facts.better != "neither"

    @property
    def meaning(self) -> str:
        """The definition in a few plain words; empty where the metric is not known here."""
        return self.facts.meaning.replace("{k}", str(self.k or "all"))


def parse_metric(name: str, facts: Mapping[str, MetricFacts] | None = None) -> ParsedMetric:
    """Take ``NDCG@10[uni99]`` apart; a name of another shape is a family of its own. ``facts``: by family."""
    match = _NAME.match(name)
    family = match["family"].lower() if match else name.lower()
    k = int(match["k"] or 0) if match else 0
    known = BUILT_IN | {each.lower(): value for each, value in (facts or {}).items()}
    found = known.get(family, MetricFacts())
    return ParsedMetric((match["protocol"] or "") if match else "", found.order, -k, name, family, found)


def choose_headline(metrics: Iterable[ParsedMetric]) -> ParsedMetric | None:
    """The metric that a report is about: NDCG at 10 or the largest cut-off, AUC for clicks.

    Full ranking goes before sampled candidates, what is built in before what a plugin added.
    """
    found = sorted(metrics, key=lambda m: (m.protocol, m.family not in BUILT_IN, m))
    ten = [m for m in found if m.family == "ndcg" and m.k == 10 and m.protocol == found[0].protocol]
    return next(iter(ten or found), None)


def format_value(value: float | None) -> str:
    """A metric's value as text, a dash where there is none."""
    return "–" if value is None else format_digits(value)
