"""The hooks of ReasonRec. The docstring of each holds a complete plugin, file by file, which the tests run.

A plugin is a module named by an entry point of group ``reasonrec``. Its hooks return light records; the classes
behind them are imported when they are used, so listing plugins never imports a heavy library. Nothing here imports
numpy or pydantic, and records are named tuples: making a dataclass takes eight times as long, and these are made on
the way to every ``reasonrec --help``.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

import pluggy

GROUP = "reasonrec"
"""The entry-point group."""
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)

TASKS = ("sequential", "direct", "ctr", "explain")
"""The values of `reasonrec_core.types.Task`, which this module must not import: it would bring numpy along."""


class Kind(StrEnum):
    """The kinds of component."""

    ENCODER = "encoder"
    POLICY = "policy"
    UNCERTAINTY = "uncertainty"
    DELEGATE = "delegate"
    ROUTER = "router"
    DATA_SOURCE = "data-source"
    SPLITTER = "splitter"
    METRIC = "metric"
    REPORTER = "reporter"


class ComponentSpec(NamedTuple):
    """A component that a plugin offers.

    Attributes:
        name: what users write in a pipeline file; lower case, digits and hyphens.
        target: ``package.module:Class``, imported when the component is used; of a metric ``package.module:RECORD``,
            a `reasonrec_core.components.MetricInfo`.
        summary: one line for the table of plugins.
        tasks: the tasks it can do, e.g. ``("sequential", "direct")``; empty where tasks do not apply.
    """

    name: str
    target: str
    summary: str
    tasks: tuple[str, ...] = ()


GROUPS = ("data", "plugins", "trace")
"""The groups of verbs that a plugin can add to."""


class CommandSpec(NamedTuple):
    """A subcommand that a plugin adds to ``reasonrec``.

    Attributes:
        name: of the subcommand; ``data NAME`` for one in a group (see `GROUPS`).
        target: ``package.module:command``, a `click.Command` that is imported when it is called.
        summary: one line for ``reasonrec --help``.
    """

    name: str
    target: str
    summary: str


HOOK_OF_KIND = {
    Kind.ENCODER: "reasonrec_encoders",
    Kind.POLICY: "reasonrec_policies",
    Kind.UNCERTAINTY: "reasonrec_uncertainty",
    Kind.DELEGATE: "reasonrec_delegates",
    Kind.ROUTER: "reasonrec_routers",
    Kind.DATA_SOURCE: "reasonrec_data_sources",
    Kind.SPLITTER: "reasonrec_splitters",
    Kind.METRIC: "reasonrec_metrics",
    Kind.REPORTER: "reasonrec_reporters",
}
"""Which hook offers which kind."""


@hookspec
def reasonrec_encoders() -> Iterable[ComponentSpec]:
    '''Offer encoders: item text or images to vectors (`reasonrec_core.components.Encoder`).

    A complete plugin, which hashes runs of three letters::

        # pyproject.toml
        [project]
        name = "reasonrec-trigrams"
        version = "0.1.0"
        dependencies = ["reasonrec-core>=0.2,<0.3"]
        [project.entry-points.reasonrec]
        trigrams = "reasonrec_trigrams.plugin"

        # reasonrec_trigrams/plugin.py
        from reasonrec_core.hookspecs import ComponentSpec, hookimpl

        @hookimpl
        def reasonrec_encoders():
            return [ComponentSpec("trigrams", "reasonrec_trigrams.encoder:Trigrams", "Hashed runs of three letters")]

        # reasonrec_trigrams/encoder.py
        import zlib

        import numpy as np
        from pydantic import Field

        from reasonrec_core.components import Encoder, Settings
        from reasonrec_core.io import content_hash

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
    '''
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_policies() -> Iterable[ComponentSpec]:
    '''Offer reasoning policies (`reasonrec_core.components.ReasoningPolicy`).

    A complete plugin, which assumes that a user stays with the brand of their newest item::

        # pyproject.toml
        [project]
        name = "reasonrec-loyal"
        version = "0.1.0"
        dependencies = ["reasonrec-core>=0.2,<0.3"]
        [project.entry-points.reasonrec]
        loyal = "reasonrec_loyal.plugin"

        # reasonrec_loyal/plugin.py
        from reasonrec_core.hookspecs import ComponentSpec, hookimpl

        @hookimpl
        def reasonrec_policies():
            summary = "The most popular items of the newest item's brand"
            return [ComponentSpec("loyal", "reasonrec_loyal.policy:Loyal", summary, ("sequential", "direct"))]

        # reasonrec_loyal/policy.py
        import numpy as np
        from pydantic import Field

        from reasonrec_core.components import ReasoningPolicy, Settings, pick_candidates
        from reasonrec_core.catalog_growth import grown
        from reasonrec_core.ranking import rank
        from reasonrec_core.types import Deliberation, LazySteps, Step, StepKind

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
    '''
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_uncertainty() -> Iterable[ComponentSpec]:
    '''Offer uncertainty estimators (`reasonrec_core.components.UncertaintyEstimator`).

    A complete plugin, which trusts histories of well-known items more::

        # pyproject.toml
        [project]
        name = "reasonrec-rarity"
        version = "0.1.0"
        dependencies = ["reasonrec-core>=0.2,<0.3"]
        [project.entry-points.reasonrec]
        rarity = "reasonrec_rarity.plugin"

        # reasonrec_rarity/plugin.py
        from reasonrec_core.hookspecs import ComponentSpec, hookimpl

        @hookimpl
        def reasonrec_uncertainty():
            return [ComponentSpec("rarity", "reasonrec_rarity.rarity:Rarity", "How rare the items of the history are")]

        # reasonrec_rarity/rarity.py
        import numpy as np
        from pydantic import Field

        from reasonrec_core.components import Settings, UncertaintyEstimator
        from reasonrec_core.catalog_growth import grown
        from reasonrec_core.types import Uncertainty

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
    '''
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_delegates() -> Iterable[ComponentSpec]:
    '''Offer delegates: cheap classical models (`reasonrec_core.components.Delegate`).

    A complete plugin, which recommends what is popular of late::

        # pyproject.toml
        [project]
        name = "reasonrec-trending"
        version = "0.1.0"
        dependencies = ["reasonrec-core>=0.2,<0.3"]
        [project.entry-points.reasonrec]
        trending = "reasonrec_trending.plugin"

        # reasonrec_trending/plugin.py
        from reasonrec_core.hookspecs import ComponentSpec, hookimpl

        @hookimpl
        def reasonrec_delegates():
            tasks = ("sequential", "direct")
            return [ComponentSpec("trending", "reasonrec_trending.trending:Trending", "Popular of late", tasks)]

        # reasonrec_trending/trending.py
        import numpy as np
        from pydantic import Field

        from reasonrec_core.components import Delegate, Settings, pick_candidates
        from reasonrec_core.catalog_growth import grown

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
    '''
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_routers() -> Iterable[ComponentSpec]:
    """Offer routers: who answers a request (`reasonrec_core.components.Router`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_data_sources() -> Iterable[ComponentSpec]:
    """Offer data sources: a path or an address to raw tables (`reasonrec_core.components.DataSource`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_splitters() -> Iterable[ComponentSpec]:
    """Offer splitters: which interactions train, tune and test (`reasonrec_core.components.Splitter`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_metrics() -> Iterable[ComponentSpec]:
    """Offer metrics; a target is a record (`reasonrec_core.components.MetricInfo`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_reporters() -> Iterable[ComponentSpec]:
    """Offer reporters: what is written about a finished run (`reasonrec_core.components.Reporter`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_commands() -> Iterable[CommandSpec]:
    '''Offer subcommands of ``reasonrec``.

    A complete plugin, which adds ``reasonrec fields DATASET``::

        # pyproject.toml
        [project]
        name = "reasonrec-fields"
        version = "0.1.0"
        dependencies = ["reasonrec-core>=0.2,<0.3"]
        [project.entry-points.reasonrec]
        fields = "reasonrec_fields.plugin"

        # reasonrec_fields/plugin.py
        from reasonrec_core.hookspecs import CommandSpec, hookimpl

        @hookimpl
        def reasonrec_commands():
            return [CommandSpec("fields", "reasonrec_fields.command:fields", "Print the item fields of a dataset.")]

        # reasonrec_fields/command.py
        from pathlib import Path

        import click

        @click.command()
        @click.argument("dataset", type=click.Path(path_type=Path))
        def fields(dataset):
            """Print the item fields of DATASET, one per line."""
            from reasonrec_core.data.dataset import Dataset

            click.echo("\\n".join(Dataset.open(dataset).catalog.fields))
    '''
    raise AssertionError("a specification is never called")
