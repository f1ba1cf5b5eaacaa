"""What reviews of the training part say of an item and its user, and explanations out of them; saved with them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reasonrec_core.components import FitData
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.io import whole_file
from reasonrec_core.types import History, Reviews
from reasonrec_explain.aspects import Aspects
from reasonrec_explain.claim_check import ClaimChecker
from reasonrec_explain.config import MbrSettings
from reasonrec_explain.evidence import EvidenceSource, ExplanationEvidence
from reasonrec_explain.item_text import ItemText
from reasonrec_explain.mbr import ChosenSentence, MbrSelector
from reasonrec_explain.references import make_references

FILE = "reviews.parquet"


class Explainer:
    """Knows what reviews say, and says of an item what most reviewers of it, and of items like it, agree with.

    Args:
        reviews: those that may be read.
        items: words of the catalogue; it may have grown since the reviews were written.
        settings: how a sentence is chosen.
        seed: of the choice's random part.
    """

    def __init__(self, reviews: Reviews, items: ItemText, settings: MbrSettings, seed: int) -> None:
        self._reviews, self._items, self._settings, self._seed = reviews, items, settings, seed
        self._aspects = Aspects(reviews, len(items))
        self._source = EvidenceSource(items, self._aspects, reviews)

    @cached_property
    def _selector(self) -> MbrSelector:
        check, texts = ClaimChecker(self._items, self._aspects), make_references(self._reviews, self._aspects)
        size, sanitiser = len(self._items), self._items.sanitiser
        return MbrSelector(self._reviews, texts, size, check, sanitiser, self._settings, self._seed)

    @classmethod
    def fit(cls, data: FitData, items: ItemText, settings: MbrSettings) -> Explainer:
        """Read the reviews of the training part.

        Raises:
            ConfigError: the data has none.
        """
        if data.reviews is None:
            raise ConfigError(
                "the data has no reviews to build explanations from",
                where="policy.explanations",
                fix='Use data with reviews, or set explanations = "written".',
            )
        return cls(data.reviews(), items, settings, data.seed)

    def gather_evidence(
        self, users: Sequence[int], history: History, items: Sequence[int]
    ) -> tuple[ExplanationEvidence, ...]:
        """What is known of each request.

        Args:
            users: dense indices, -1 where unknown.
            history: of as many requests.
            items: the item of each that is to be explained.
        """
        rows = enumerate(zip(users, items, strict=True))
        return tuple(self._source.gather(user, history.row(row).tolist(), item) for row, (user, item) in rows)

    def explain(self, users: Sequence[int], known: Sequence[ExplanationEvidence]) -> list[ChosenSentence]:
        """A sentence per request, of which ``known`` says what is known."""
        return self._selector.choose(users, known)

    def save(self, folder: Path) -> None:
        """Write the reviews; everything else follows from them."""
        reviews = self._reviews
        columns = {name: getattr(reviews, name) for name in ("users", "items", "times", "values")}
        columns |= {name: getattr(reviews, name).tolist() for name in ("texts", "summaries")}
        there = {name: pa.array(values) for name, values in columns.items() if values is not None}
        table = pa.table(there).replace_schema_metadata({"seed": str(self._seed)})
        with whole_file(folder / FILE) as aside:
            pq.write_table(table, aside, compression="zstd")

    @classmethod
    def load(cls, folder: Path, items: ItemText, settings: MbrSettings) -> Explainer:
        """Read what `save` wrote.

        Raises:
            DataError: the file is missing or damaged.
        """
        try:
            table = pq.read_table(folder / FILE)
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(
                f"the file has changed since it was saved ({error})", where=str(folder / FILE), fix="Fit again."
            ) from error
        users, reviewed, times = (table.column(name).to_numpy() for name in ("users", "items", "times"))
        texts, summaries = (np.array(table.column(n).to_pylist(), np.object_) for n in ("texts", "summaries"))
        values = table.column("values").to_numpy() if "values" in table.column_names else None
        reviews = Reviews(users, reviewed, times, texts, summaries, values)
        metadata = table.schema.metadata or {}
        return cls(reviews, items, settings, int(metadata.get(b"seed", b"0")))
