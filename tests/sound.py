"""Small sound components of each kind that learns; the broken ones of the tests are made from them."""

import zlib

import numpy as np
from pydantic import Field

from reasonrec_core.catalog_growth import grown
from reasonrec_core.components import (
    Delegate,
    Encoder,
    ReasoningPolicy,
    Settings,
    UncertaintyEstimator,
    pick_candidates,
)
from reasonrec_core.io import content_hash
from reasonrec_core.ranking import rank
from reasonrec_core.types import Deliberation, LazySteps, Step, StepKind, Uncertainty


class TrigramsConfig(Settings):
    dimensions: int = Field(256, ge=1, description="Length of a vector.")


class Trigrams(Encoder[TrigramsConfig]):
    """Counts of hashed letter trigrams, each vector of length 1."""

    Config = TrigramsConfig
    modality = "text"

    def encode(self, inputs):
        vectors = np.zeros((len(inputs), self.config.dimensions), np.float32)
        for row, text in enumerate(inputs):
            padded = f"  {text.lower()} ".encode()
            for at in range(len(padded) - 2):
                vectors[row, zlib.crc32(padded[at : at + 3]) % self.config.dimensions] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def fingerprint(self):
        return content_hash("trigrams 1", self.config.model_dump())


class LoyalConfig(Settings):
    field: str = Field("brand", description="The item field that a user is loyal to.")
    loyalty: float = Field(10.0, ge=1, description="How many times more likely an item of the same value is.")


class Loyal(ReasoningPolicy[LoyalConfig]):
    """Observe the newest item, infer its brand, propose that brand's items, weigh them by popularity."""

    Config = LoyalConfig

    def fit(self, data):
        self.counts = np.bincount(data.train.items, minlength=len(data.catalog)) + 0.5
        self.use(data.catalog)

    def use(self, catalog):
        self.titles = catalog.titles
        known = self.config.field in catalog.fields
        self.values = catalog.column(self.config.field) if known else [None] * len(catalog)
        self.codes = np.unique([value or "" for value in self.values], return_inverse=True)[1]

    def deliberate(self, batch, observation):
        lengths = batch.history.lengths
        newest = np.full(len(batch), -1)
        newest[lengths > 0] = batch.history.items[batch.history.indptr[1:][lengths > 0] - 1]
        same = (self.codes == self.codes[newest][:, None]) & (newest >= 0)[:, None]
        weights = self.counts * np.where(same, self.config.loyalty, 1.0)
        shares = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        ranking = rank(pick_candidates(np.log(shares), batch), batch)
        mass = np.where(ranking.items < 0, 0, np.exp(ranking.scores)).astype(np.float32)
        steps = LazySteps(len(batch), lambda row: self.words(newest[row], lengths[row], ranking.items[row]))
        return Deliberation(steps, mass[:, :1].sum(axis=1), ranking, mass)

    def words(self, newest, length, ranked):
        best = self.titles[ranked[0]] if ranked[0] >= 0 else "nothing"
        if length == 0:
            return (Step(StepKind.DECIDE, f"No history, so the most popular: {best}."),)
        value, newest_at = self.values[newest] or "unknown", int(length) - 1
        return (
            Step(StepKind.OBSERVE, f"The newest item is {self.titles[newest]}.", (newest_at,)),
            Step(StepKind.INFER, f"{self.config.field} = {value}.", (newest_at, self.config.field)),
            Step(StepKind.PROPOSE, f"Items whose {self.config.field} is {value}."),
            Step(StepKind.WEIGH, f"Popularity, times {self.config.loyalty:g} for a match."),
            Step(StepKind.DECIDE, f"{best} first."),
        )

    def save(self, folder):
        super().save(folder)
        np.save(folder / "counts.npy", self.counts)

    @classmethod
    def load(cls, folder, catalog):
        policy = super().load(folder, catalog)
        policy.counts = grown(np.load(folder / "counts.npy"), len(catalog), fill=0.5)
        policy.use(catalog)
        return policy


class RarityConfig(Settings):
    half: float = Field(5.0, gt=0, description="Training interactions at which an item is half known.")


class Rarity(UncertaintyEstimator[RarityConfig]):
    """Mean over the history of half / (half + an item's training interactions); 1 without a history."""

    Config = RarityConfig
    stage = "before"

    def fit(self, data):
        counts = np.bincount(data.train.items, minlength=len(data.catalog))
        self.rarity = self.config.half / (self.config.half + counts)

    def estimate(self, batch, observation, deliberation):
        history = batch.history
        sums = np.bincount(history.rows, self.rarity[history.items], minlength=len(batch))
        mean = np.where(history.lengths > 0, sums / np.maximum(history.lengths, 1), 1.0).astype(np.float32)
        return Uncertainty(total=mean, stage="before", epistemic=mean)

    def save(self, folder):
        super().save(folder)
        np.save(folder / "rarity.npy", self.rarity)

    @classmethod
    def load(cls, folder, catalog):
        estimator = super().load(folder, catalog)
        estimator.rarity = grown(np.load(folder / "rarity.npy"), len(catalog), fill=1)
        return estimator


class TrendingConfig(Settings):
    half_life: float = Field(30.0, gt=0, description="Days after which an interaction counts half.")


class Trending(Delegate[TrendingConfig]):
    """Interactions per item, each halved for every half-life of its age at the end of training."""

    Config = TrendingConfig

    def fit(self, data):
        days = (data.train.times.max() - data.train.times) / 86_400
        weights = 0.5 ** (days / self.config.half_life)
        self.scores = np.bincount(data.train.items, weights, len(data.catalog)).astype(np.float32)

    def score(self, batch, observation):
        return pick_candidates(np.tile(self.scores, (len(batch), 1)), batch)

    def save(self, folder):
        super().save(folder)
        np.save(folder / "scores.npy", self.scores)

    @classmethod
    def load(cls, folder, catalog):
        delegate = super().load(folder, catalog)
        delegate.scores = grown(np.load(folder / "scores.npy"), len(catalog))
        return delegate
