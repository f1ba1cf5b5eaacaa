"""Requests with words for what is wanted: a delegate that reads text answers, in the space of its vectors."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from reasonrec_core.components import Encoder, ItemInput, Kind, VectorDelegate, leave_entries_out
from reasonrec_core.errors import ConfigError
from reasonrec_core.pipeline import Outcome, ServingCatalog
from reasonrec_core.ranking import rank
from reasonrec_core.routing.decision import undecided
from reasonrec_core.types import Float32, History, Observation, QueryBatch, Ranking, Route, Task
from reasonrec_core.validation import check_vectors
from reasonrec_serve.answer import Answer, Recommended
from reasonrec_serve.diversity import diversify
from reasonrec_serve.limits import Limits
from reasonrec_serve.notes import list_notes
from reasonrec_serve.resolve import Resolved
from reasonrec_serve.word_causes import explain_words, share_words, split_words
from reasonrec_serve.wording import list_items, name_items

if TYPE_CHECKING:
    from reasonrec_serve.recommender import Recommender

TEXT_SHARE = 0.7
"""How much the likeness of the texts themselves counts: what a delegate learns from a log blurs what words mean
(benchmarks/results/text_queries.md; chosen on validation of H&M)."""
READ_TEXT = ("text", "item")
"""What an encoder of words is called by: the modalities of which a text is one, or a part."""


@runtime_checkable
class TextDelegate(VectorDelegate, Protocol):
    """A `VectorDelegate` that can be asked by features of no item, such as those of an encoded text."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """Whose features it reads."""

    def feature_vectors(self, features: Mapping[str, Float32], observation: Observation) -> Float32:
        """float32[B, d], as `VectorDelegate.query_vectors`, for float32[B, w] by modality, at least one of its own."""


def find_text_delegate(part: object) -> TextDelegate | None:
    """A delegate, or the one that it finds items for (``base``), if it can be asked in words."""
    return next((each for each in (part, getattr(part, "base", None)) if isinstance(each, TextDelegate)), None)


@dataclass(frozen=True)
class TextReader:
    """Who answers words.

    Attributes:
        label: of the delegate.
        name: that it is registered under.
        delegate: it.
        encoders: that encoded the items' text, by feature.
    """

    label: str
    name: str
    delegate: TextDelegate
    encoders: Mapping[str, Encoder[Any]]


class TextQueries:
    """Answers words, of an opened run.

    Args:
        service: the run.
    """

    def __init__(self, service: Recommender) -> None:
        self.service = service
        self._lock = threading.Lock()  # tokenizers are not safe for threads

    @cached_property
    def reader(self) -> TextReader:
        """The first delegate that can be asked in words, with the encoders of the run that read them.

        Raises:
            ConfigError: there is none.
            RunError: an encoder is not what it was when the run was fitted.
        """
        from reasonrec_datasets.run_encoders import load_encoders

        service, agent = self.service, self.service.agent
        found = {label: find_text_delegate(each.part) for label, each in agent.delegates.items()}
        asked = {label: part for label, part in found.items() if part is not None}
        if not asked:
            there = ", ".join(agent.delegates) or "none"
            what = f"no delegate of this run can answer a text query (there are: {there})"
            fix = "Add one that can, alpharec of reasonrec-graph, beside an encoder of text: [observe.text]."
            raise ConfigError(what, where="--query", fix=fix)
        served = ServingCatalog.open(service.run.path)
        for label, part in asked.items():
            encoders, _ = load_encoders(served, service.config, agent.registry, part.modalities)
            read = {name: encoder for name, encoder in encoders.items() if encoder.modality in READ_TEXT}
            if read:
                return TextReader(label, agent.delegates[label].name, part, read)
        features = ", ".join(dict.fromkeys(m for part in asked.values() for m in part.modalities))
        what = f"{' and '.join(asked)} cannot answer a text query: no encoder of text made what it reads ({features})"
        raise ConfigError(what, where="--query", fix="Observe the items' text: [observe.text].")

    def find_label(self) -> str | None:
        """Whose answer to words there is, by the settings; no encoder is loaded. None where nobody reads words."""
        agent, observed = self.service.agent, self.service.config.observe
        for label, each in agent.delegates.items():
            part = find_text_delegate(each.part)
            read = [observed[name].encoder for name in (part.modalities if part else ()) if name in observed]
            if any(agent.registry.load(Kind.ENCODER, name).modality in READ_TEXT for name in read):
                return label
        return None

    def answer(self, resolved: Resolved) -> Answer:
        """The answer to words, within the same limits as any other.

        Raises:
            ConfigError: nobody can be asked in words.
        """
        begin = time.perf_counter()
        batch, request, catalog = resolved.batch, resolved.request, self.service.dataset.catalog
        reader = self.reader
        deep = replace(batch, k=self.service.choose_depth(batch)) if request.diversity else batch
        ranking = self._rank(deep, resolved)
        if request.diversity:
            ranking = diversify(ranking, self.service.likeness_to_diversify, request.diversity, batch.k)
        items, past = list_items(catalog, ranking, batch.k), batch.history.row(0).tolist()
        weights = f"{request.query_weight:g} to {1 - request.query_weight:g}"
        how = f"the words and the history, weighted {weights}" if past else "the words alone"
        reason, seconds = f"{reader.label} answers: by {how}", time.perf_counter() - begin
        if self.service.on_answer is not None:
            decided = undecided(1, reader.label, reason)
            outcome = Outcome(ranking.head(batch.k), decided, {}, np.empty(0, np.intp), None, seconds)
            user = None if request.user is None else str(request.user)
            self.service.on_answer(batch, outcome, user, words=request.query)
        return Answer(
            items=items,
            history=name_items(catalog, past),
            unknown=batch.history.skipped,
            skipped=resolved.skipped,
            route=str(Route.REPLACE),
            by=reader.label,
            reason=reason,
            cutoff=self.service.cutoff,
            explain=tuple,
            justify=lambda _: self._justify(resolved, items),
            seconds=seconds,
            known_user=resolved.known_user,
            personalised=bool(past) and request.query_weight < 1,
            models=self.service.agent.models,
            notes=(
                *list_notes(resolved, len(items), abstained=False, limited=False),
                "No confidence is stated, because it was not calibrated on text queries.",
            ),
        )

    def _rank(self, batch: QueryBatch, resolved: Resolved) -> Ranking:
        request, seen = resolved.request, self.service.agent.observe(batch)
        assert request.query is not None
        scores = self._read([request.query], seen)
        if len(batch.history.items):
            scores = self._add_history(scores, request.query_weight, batch, seen)
        scores[:, ~self._items.any(axis=1)] = -np.inf  # nothing is known of these
        return rank_scores(scores, batch, resolved.limits)

    def _read(self, texts: Sequence[str], seen: Observation) -> Float32:
        """float32[B, n_items]: how well the items fit each of B texts."""
        reader, registry = self.reader, self.service.agent.registry
        with registry.guard(Kind.DELEGATE, reader.name, "feature_vectors"):
            encoded = self._encode(texts, reader)
            words = check_vectors(reader.delegate.feature_vectors(encoded, seen), len(texts), self._items.shape[1])
        return mix_texts(_unit(words) @ self._items.T, encoded, self._texts)

    def _add_history(self, read: Float32, weight: float, batch: QueryBatch, seen: Observation) -> Float32:
        """float32[B, n_items]: scores of one text, float32[1, n_items], weighed with B histories; empty ones add 0."""
        with self.service.agent.registry.guard(Kind.DELEGATE, self.reader.name, "query_vectors"):
            vectors = self.reader.delegate.query_vectors(batch, seen)
            past = _unit(check_vectors(vectors, len(batch), self._items.shape[1]))
        past[batch.history.lengths == 0] = 0
        return np.asarray(weight * read + (1 - weight) * (past @ self._items.T), np.float32)

    def _justify(self, resolved: Resolved, items: tuple[Recommended, ...]) -> tuple[Recommended, ...]:
        request, service = resolved.request, self.service
        assert request.query is not None
        batch = replace(resolved.batch, task=Task.SEQUENTIAL, candidates=None)
        seen, weight = service.agent.observe(batch), request.query_weight if len(batch.history.items) else 1.0
        words = split_words(request.query)
        read = self._read([request.query, *(without for _, without in words)], seen)
        index = np.array([[service.dataset.catalog.index[item.id] for item in items]], np.int32)
        past = leave_entries_out(lambda b, o: self._add_history(read[:1], weight, b, o), batch, seen, index)
        return explain_words(service, batch, items, [word for word, _ in words], share_words(read, index, past), past)

    @cached_property
    def _texts(self) -> dict[str, Float32]:
        """Per encoder of text float32[n_items, w]: what items read like, of length 1, or 0."""
        features = self.service.agent.items.features
        return {name: _unit(np.nan_to_num(np.asarray(features[name], np.float32))) for name in self.reader.encoders}

    @cached_property
    def _items(self) -> Float32:
        """float32[n_items, d]: of length 1, or 0."""
        agent, reader = self.service.agent, self.reader
        seen = agent.observe(QueryBatch(Task.SEQUENTIAL, np.array([-1], np.int32), History.of([[]]), 1))
        with agent.registry.guard(Kind.DELEGATE, reader.name, "item_vectors"):
            return _unit(check_vectors(reader.delegate.item_vectors(seen), agent.n_items))

    def _encode(self, texts: Sequence[str], reader: TextReader) -> dict[str, Float32]:
        found = {}
        for name, encoder in reader.encoders.items():
            given = [text if encoder.modality == "text" else ItemInput(None, text) for text in texts]
            with (
                self._lock,
                self.service.agent.registry.guard(Kind.ENCODER, self.service.config.observe[name].encoder, "encode"),
            ):
                found[name] = check_vectors(encoder.encode(given), len(texts))
        return found


def mix_texts(learned: Float32, encoded: Mapping[str, Float32], texts: Mapping[str, Float32]) -> Float32:
    """float32[B, n]: the cosines that a delegate learned, mixed with those of the texts themselves, `TEXT_SHARE`.

    Args:
        learned: float32[B, n].
        encoded: the words, float32[B, w] by feature.
        texts: the items, float32[n, w] of length 1 or 0; an item without a text counts as one of average likeness.
    """
    mixed = learned.copy()
    for name, rows in texts.items():
        has = rows.any(axis=1)
        if has.any():
            like = _unit(encoded[name]) @ rows.T
            like[:, ~has] = like[:, has].mean(axis=1, keepdims=True)
            mixed += np.float32(TEXT_SHARE / len(texts)) * (like - learned)
    return np.asarray(mixed, np.float32)


def rank_scores(scores: Float32, batch: QueryBatch, limits: Limits) -> Ranking:
    """Rank a catalogue's scores float32[1, n_items] of one query within limits; the scores are overwritten."""
    if batch.candidates is not None:  # limited already
        listed = np.maximum(batch.candidates, 0)
        return rank(np.take_along_axis(scores, listed, axis=1), batch)
    if limits.allowed is not None:
        scores[:, ~limits.allowed] = -np.inf
    if not limits.include_seen:
        return rank(scores, batch)
    return rank(scores, replace(batch, history=History.of([[]])))


def _unit(vectors: Float32) -> Float32:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)
