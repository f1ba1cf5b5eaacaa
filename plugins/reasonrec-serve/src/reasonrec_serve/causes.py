"""Why an item is recommended: history entries with their shares, whoever answered, and a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from reasonrec_core.components import DistributionPolicy, EditablePolicy
from reasonrec_core.pipeline import Agent, EditedPolicy
from reasonrec_core.types import Float32, Int32, QueryBatch, Step, format_percent

if TYPE_CHECKING:
    from reasonrec_serve.answer import Recommended
    from reasonrec_serve.recommender import Recommender

MOST, LEAST = 5, 0.05
"""Causes of an item: so many at most, and none of a smaller share, but for the largest."""
FAINTEST = 0.01
"""Share below which the largest cause is none either."""
NAMED = 3
"""Causes in a sentence."""
BEST_SELLERS = 0.05
"""The part of the catalogue that is chosen most often."""


@dataclass(frozen=True)
class Cause:
    """An item of the history, or a word of a text query, that an item was recommended for.

    Attributes:
        id: raw id; "" for a word.
        title: what it is called; a word in quotes.
        share: how much of the reason it is, in [0, 1]; the causes of an item sum to at most 1, the rest are fainter
            causes and what speaks for the item whatever the history holds.
    """

    id: str
    title: str
    share: float


def justify_items(
    service: Recommender,
    batch: QueryBatch,
    by: str,
    items: tuple[Recommended, ...],
    steps: Sequence[Step] = (),
) -> tuple[Recommended, ...]:
    """The items of an answer with their causes (`Recommended.because`) and a sentence (`Recommended.why`).

    Args:
        service: the run.
        batch: the request, one query.
        by: who answered: the policy or a delegate.
        items: the answer.
        steps: of the policy's answer whose best item is the first one; its causes are what the last step cites.
    """
    if not items:
        return items
    index = service.dataset.catalog.index
    asked = np.array([[index[item.id] for item in items]], np.int32)
    cited = [at for at in steps[-1].evidence if isinstance(at, int)] if steps else []
    shares = attribute_answer(service.agent, batch, by, asked, cited)
    return tuple(
        replace(item, because=causes, why=word_causes(causes) or _word_popularity(service, int(asked[0, column])))
        for column, item in enumerate(items)
        for causes in [list_causes(service, batch, shares[:, column])]
    )


def cite_evidence(
    service: Recommender, batch: QueryBatch, items: tuple[Recommended, ...], steps: Sequence[Step]
) -> tuple[Recommended, ...]:
    """The items of an answer from edited steps: the first with the entries that the last step cites, in equal parts."""
    cited = [at for at in steps[-1].evidence if isinstance(at, int)] if steps else []
    if not items or not cited:
        return items
    shares = np.bincount(cited, minlength=len(batch.history.items)) / len(cited)
    causes = list_causes(service, batch, shares.astype(np.float32))
    return (replace(items[0], because=causes, why=word_causes(causes)), *items[1:])


def attribute_answer(agent: Agent, batch: QueryBatch, by: str, items: Int32, cited: Sequence[int]) -> Float32:
    """float32[L, K]: shares in int32[1, K] items; in the first one those of the ``cited`` entries, if there are any."""
    shares = agent.attribute(by, batch, items)
    if not cited or agent.policy is None or by != agent.policy.label:
        return shares
    kept = np.zeros(len(shares), np.float32)
    if isinstance(agent.policy.part, EditablePolicy):
        attribution = EditedPolicy.of(agent).attribution(batch)
        kept[cited] = attribution[cited] / max(float(attribution.sum()), 1e-30)
    elif isinstance(agent.policy.part, DistributionPolicy):
        kept[cited] = shares[cited, 0]
    if not kept.any():
        kept[cited] = 1 / len(set(cited))
    shares[:, 0] = kept
    return shares


def list_causes(service: Recommender, batch: QueryBatch, shares: Float32) -> tuple[Cause, ...]:
    """The largest causes by float32[L] shares; entries of one item are one cause."""
    catalog, (items, at) = service.dataset.catalog, np.unique(batch.history.items, return_inverse=True)
    total = np.bincount(at, shares, len(items)) if len(items) else np.zeros(0)
    order = np.argsort(-total, kind="stable")[:MOST]
    chosen = [i for place, i in enumerate(order.tolist()) if total[i] >= (LEAST if place else FAINTEST)]
    return tuple(Cause(catalog.ids[items[i]], catalog.titles[items[i]], min(float(total[i]), 1.0)) for i in chosen)


def word_causes(causes: Sequence[Cause]) -> str:
    """ "because of A (40 %) and B (23 %)"; "" where there are none."""
    named = [f"{cause.title or cause.id} ({format_percent(cause.share)})" for cause in causes[:NAMED]]
    if not named:
        return ""
    return f"because of {' and '.join([', '.join(named[:-1]), named[-1]]) if named[1:] else named[0]}"


def _word_popularity(service: Recommender, item: int) -> str:
    """Where the item stands among all, by how often they were chosen."""
    counts = service.item_counts
    place = 1 + int((counts > counts[item]).sum())
    if place <= max(BEST_SELLERS * len(counts), 1):
        return f"a best-seller: number {place:,} of {len(counts):,}"
    return "nothing in the history points to it in particular"
