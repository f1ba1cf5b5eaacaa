"""The protocols of benchmarks/models.py: what is learned from, what is asked, what is counted.

- ``leave-one-out``: data without parts. Fitted on all but the last two interactions of each user, which are asked for.
  Of ml-100k, which has a clock, hour and weekday of the request are known to models that use context.
- ``published parts``: data that comes as train and test (gowalla). A tenth of each user's training rows becomes the
  validation part; before the test part is answered, the model is fitted again on all training rows, for as long as
  validation chose.
- ``random`` (``hm-week-random``): of each user a tenth of the interactions, at least one, validates, another is tested.
- ``new items`` (``hm-week-cold``): a tenth of the items validates, another is tested, and nobody's choice of them is
  learned from. They are asked for among all items, and among themselves ("among new items").
- ``kinds of feedback`` (taobao-buy-cart): see `feedback_data`; what is asked for are purchases.
- ``clicks``: data that comes as labelled parts (ctr-ml-1m). ``ctr-ml-1m-fields`` adds the genres, people and plots of
  ml-1m, joined by title.

Lists are whole catalogues without the history, ties counted against the model. Item texts and pictures are read for
models that look at them alone. "Rare items": queries whose targets at most five users chose in training; "less
popular items": at most as many as of the items that make the least popular 80 % of training (eight of ten groups with
equally many interactions, as in SGL's table); "few interactions": queries with at most five items in the history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ctr import with_fields
from feedback_data import find_outside, import_feedback, split_feedback

from reasonrec_core.components import Delegate, FitData, Kind
from reasonrec_core.data import TEST, SplitConfig, make_split, open_or_import
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.evaluate import Scores, evaluate_ranking, score_ctr
from reasonrec_core.observe import observe_items
from reasonrec_core.observe.evidence_horizon import EvidenceHorizonScale
from reasonrec_core.ranking import rank
from reasonrec_core.registry import Registry
from reasonrec_core.types import Bool, Cases, Int64, Interactions, Observation, QueryBatch, Ranking, Task

JOINED, FEEDBACK = "-fields", "taobao-buy-cart"
SPLITS = {"-random": ("random", "random"), "-cold": ("new items", "cold-item")}
"""Ends of names of data sets that stand for another division: the protocol, and the splitter."""
DATASETS = ("amazon-beauty", "ctr-ml-1m", "gowalla", "hm-week", "ml-100k", "ml-1m", FEEDBACK)
"""Data that ``models.toml`` may name, also with one of the ends."""
METRICS = {
    "leave-one-out": ("HR@10", "NDCG@10", "NDCG@10 rare items"),
    "random": ("Recall@20", "NDCG@20", "Recall@20 few interactions", "Recall@20 rare items"),
    "new items": ("HR@10", "NDCG@10", "HR@10 among new items", "NDCG@10 among new items"),
    "published parts": ("Recall@20", "NDCG@20"),
    "clicks": ("AUC", "UAUC", "LogLoss"),
    "kinds of feedback": ("HR@10", "HR@10 outside carts", "NDCG@10"),
}
CONTENT = frozenset(
    {"alpharec", "recgoat", "ssr", "content-knn", "lightgbm-rank", "lightgbm-ctr", "xdeepfm", "dcnv2", "click-blend"}
)
"""Models that look at texts and pictures whatever their settings."""
GROUPED = ("HR@10", "NDCG@10", "Recall@20")
"""Metrics that are also counted for groups of queries."""
FEW = 5
"""Most interactions of rare items, and of users with few."""
DERIVED = {"ml-100k": ("hour", "weekday")}
"""What queries know of the moment of the request, where its time is one of a clock."""
PARTS = ("valid", "test")
CUTS = (10, 20, 50)
"""Where rankings are cut."""
QUERIES = 64
"""Queries per call where lists are ranked."""


def reads_content(model: str, settings: Mapping[str, Any]) -> bool:
    """Whether a model looks at item texts and pictures."""
    return model in CONTENT or settings.get("items") in ("features", "both")


class Parts(Protocol):
    """What a data set is divided into."""

    @property
    def train(self) -> Interactions:
        """What is learned from."""

    @property
    def valid(self) -> Cases:
        """What chooses."""

    @property
    def test(self) -> Cases:
        """What is answered once."""


@dataclass
class Bench:
    """One data set under its protocol.

    ``groups`` names, by part, queries that are also counted apart; ``among``, by part, items that are also ranked
    apart.
    """

    protocol: str
    split: Parts
    fit: FitData
    horizon: EvidenceHorizonScale
    everything: Interactions
    n_items: int
    groups: Mapping[str, Mapping[str, Bool]] = field(default_factory=dict)
    among: Mapping[str, Int64] = field(default_factory=dict)

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

        scores = evaluate_ranking(answer, cases, CUTS, n_items=self.n_items, chunk=QUERIES, threads=1)
        more = {
            f"{metric} {name}": np.where(mask, scores.per_query[metric], np.nan)
            for name, mask in self.groups.get(part, {}).items()
            for metric in GROUPED
        }
        if part in self.among:
            more |= {f"{name} among new items": each for name, each in self.rank_among(delegate, part).items()}
        return replace(scores, per_query={**scores.per_query, **more})

    def rank_among(self, delegate: Delegate[Any], part: str) -> Mapping[str, Any]:
        """What is counted by query where only the items of ``among`` can be recommended."""
        others = np.ones(self.n_items, np.bool_)
        others[self.among[part]] = False

        def answer(batch: QueryBatch) -> Ranking:
            scores = delegate.score(batch, self.observe(batch))
            scores[:, others] = -np.inf
            return rank(scores, batch)

        cases = getattr(self.split, part)
        scores = evaluate_ranking(answer, cases, CUTS, n_items=self.n_items, chunk=QUERIES, threads=1)
        return {name: scores.per_query[name] for name in GROUPED}

    def finish(self, delegate: Delegate[Any]) -> Delegate[Any]:
        """The model that answers the test part: the same, or fitted again on all training rows."""
        if self.protocol != "published parts":
            return delegate
        return delegate.refit(replace(self.fit, train=self.everything, valid=None, workdir=None))


def prepare(name: str, data: Path, cache: Path, content: bool) -> Bench:
    """Open a data set and divide it; ``content``: read texts and pictures."""
    if name == FEEDBACK:
        dataset = import_feedback(data / name, cache)
        split = split_feedback(dataset)
        groups = {
            part: {"outside carts": find_outside(getattr(split, part), split.train, dataset.n_items)} for part in PARTS
        }
        return replace(make_bench(name, "kinds of feedback", dataset, split, data, cache, content), groups=groups)
    plain, ending = split_name(name)
    columns = {f"context.{each}": each for each in DERIVED.get(name, ())}
    dataset = open_or_import(data / plain, cache / "datasets", columns=columns, name=plain)
    protocol, config = choose_protocol(dataset, ending)
    parts = make_split(dataset, SplitConfig(**config))
    bench = make_bench(name, protocol, dataset, parts, data, cache, content)
    bench.everything = dataset.interactions.take(parts.parts != TEST)
    if protocol in ("leave-one-out", "random"):
        bench.groups = {part: group_queries(getattr(parts, part), parts.train, dataset.n_items) for part in PARTS}
    if protocol == "new items":
        bench.among = {"valid": np.unique(parts.valid.targets), "test": np.unique(parts.test.targets)}
    return bench


def split_name(name: str) -> tuple[str, str]:
    """The data that a name stands for, and its end where that stands for another division (see `SPLITS`)."""
    ending = next((each for each in SPLITS if name.endswith(each)), "")
    return name.removesuffix(ending or JOINED), ending


def choose_protocol(dataset: Dataset, ending: str) -> tuple[str, dict[str, Any]]:
    """The protocol and the settings of its split, by what a data set comes with and how its name ends."""
    if ending:
        protocol, kind = SPLITS[ending]
        return protocol, {"kind": kind, "valid": 0.1, "test": 0.1, "seed": 0}
    if dataset.parts is None:
        return "leave-one-out", {"kind": "leave-one-out"}
    if dataset.interactions.values is not None:
        return "clicks", {"kind": "predefined"}
    return "published parts", {"kind": "predefined", "valid_share": 0.1}


def group_queries(cases: Cases, train: Interactions, n_items: int) -> Mapping[str, Bool]:
    """By group bool[B]: the queries that are counted apart."""
    chosen = np.bincount(train.items, minlength=n_items)
    order = np.argsort(chosen, kind="stable")
    popular = chosen[order[np.cumsum(chosen[order]) <= 0.8 * len(train)]].max(initial=0)
    most = np.zeros(len(cases), np.int64)
    np.maximum.at(most, cases.rows, chosen[cases.targets])
    few = cases.queries.history.lengths <= FEW
    return {"rare items": most <= FEW, "less popular items": most <= popular, "few interactions": few}


def make_bench(
    name: str, protocol: str, dataset: Dataset, split: Parts, data: Path, cache: Path, content: bool
) -> Bench:
    """What is learned from a divided data set; ``content``: with texts and pictures."""
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
    fit = replace(fit, context=dataset.context, user_fields=dataset.user_fields)
    return Bench(protocol, split, fit, horizon, split.train, dataset.n_items)
