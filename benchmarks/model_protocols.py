"""The protocols of benchmarks/models.py: what is learned from, what is asked, what is counted.

- ``leave-one-out``: data without parts. Fitted on all but the last two interactions of each user, which are asked for.
  Of ml-100k, which has a clock, hour and weekday of the request are known to models that use context.
- ``published parts``: data that comes as train and test (gowalla). A tenth of each user's training rows becomes the
  validation part; before the test part is answered, the model is fitted again on all training rows, for as long as
  validation chose.
- ``clicks``: data that comes as labelled parts (ctr-ml-1m). ``ctr-ml-1m-fields`` adds the genres, people and plots of
  ml-1m, joined by title.

Lists are whole catalogues without the history, ties counted against the model. Item texts and pictures are read for
models that look at them alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ctr import with_fields

from reasonrec_core.components import Delegate, FitData, Kind, Refittable
from reasonrec_core.data import TEST, SplitConfig, make_split, open_or_import
from reasonrec_core.data.split import Split
from reasonrec_core.evaluate import Scores, evaluate_ranking, score_ctr
from reasonrec_core.observe import observe_items
from reasonrec_core.observe.evidence_horizon import EvidenceHorizonScale
from reasonrec_core.registry import Registry
from reasonrec_core.types import Interactions, Observation, QueryBatch, Ranking, Task

JOINED = "-fields"
METRICS = {
    "leave-one-out": ("HR@10", "NDCG@10"),
    "published parts": ("Recall@20", "NDCG@20"),
    "clicks": ("AUC", "UAUC", "LogLoss"),
}
CONTENT = frozenset({"alpharec", "content-knn", "lightgbm-rank", "lightgbm-ctr", "xdeepfm", "dcnv2"})
"""Models that look at texts and pictures whatever their settings."""
DERIVED = {"ml-100k": ("hour", "weekday")}
"""What queries know of the moment of the request, where its time is one of a clock."""
CUTS = (10, 20, 50)
"""Where rankings are cut."""
QUERIES = 64
"""Queries per call where lists are ranked."""


def reads_content(model: str, settings: Mapping[str, Any]) -> bool:
    """Whether a model looks at item texts and pictures."""
    return model in CONTENT or settings.get("items") in ("features", "both")


@dataclass
class Bench:
    """One data set under its protocol."""

    protocol: str
    split: Split
    fit: FitData
    horizon: EvidenceHorizonScale
    everything: Interactions
    n_items: int

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is counted."""
        return METRICS[self.protocol]

    def observe(self, batch: QueryBatch) -> Observation:
        """What may be seen with a batch."""
        return replace(self.fit.observation, horizon=self.horizon(batch))

    def score(self, delegate: Delegate[Any], part: str) -> Scores:
        """Ask for a part's queries, and count."""
        cases = getattr(self.split, part)
        if self.protocol == "clicks":
            return score_ctr(delegate.score(cases.queries, self.observe(cases.queries)), cases)

        def answer(batch: QueryBatch) -> Ranking:
            return delegate.recommend(batch, self.observe(batch))

        return evaluate_ranking(answer, cases, CUTS, n_items=self.n_items, chunk=QUERIES, threads=1)

    def finish(self, delegate: Delegate[Any]) -> Delegate[Any]:
        """The model that answers the test part: the same, or fitted again on all training rows."""
        if self.protocol != "published parts":
            return delegate
        data = replace(self.fit, train=self.everything, valid=None, workdir=None)
        if isinstance(delegate, Refittable):
            return delegate.refit(data)
        again = type(delegate)(delegate.config)
        again.fit(data)
        return again


def prepare(name: str, data: Path, cache: Path, content: bool) -> Bench:
    """Open a data set and divide it; ``content``: read texts and pictures."""
    plain, columns = name.removesuffix(JOINED), {f"context.{each}": each for each in DERIVED.get(name, ())}
    dataset = open_or_import(data / plain, cache / "datasets", columns=columns, name=plain)
    given, labelled = dataset.parts is not None, dataset.interactions.values is not None
    protocol = "leave-one-out" if not given else "clicks" if labelled else "published parts"
    config: dict[str, Any] = {"kind": "predefined"} if given else {"kind": "leave-one-out"}
    if protocol == "published parts":
        config["valid_share"] = 0.1
    split = make_split(dataset, SplitConfig(**config))
    catalog = dataset.catalog
    if name.endswith(JOINED):
        catalog, _ = with_fields(catalog, data / "ml-1m" / "items.csv")
    wanted = {"text": "text"} | ({"image": "timm"} if catalog.has_image.any() else {})
    encoders = {m: Registry.discover().create(Kind.ENCODER, each, {}) for m, each in wanted.items()} if content else {}
    items = observe_items(catalog, encoders, cache / "features")
    lengths = np.bincount(split.train.users, minlength=dataset.n_users).astype(np.int64)
    horizon = EvidenceHorizonScale.fit(lengths)
    seen = items.observation(horizon(split.valid.queries))
    task = Task.CTR if protocol == "clicks" else Task.SEQUENTIAL
    fit = FitData(catalog, dataset.n_users, split.train, split.valid, seen, horizon=horizon, task=task)
    fit = replace(fit, context=dataset.context)
    everything = dataset.interactions.take(split.parts != TEST)
    return Bench(protocol, split, fit, horizon, everything, dataset.n_items)
