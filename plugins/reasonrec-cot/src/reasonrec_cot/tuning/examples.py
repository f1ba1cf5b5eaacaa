"""Dialogues to learn from, drawn from the training part alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from reasonrec_torch.curriculum import CurriculumConfig, history_limit, sampling_probability

from reasonrec_core.components import FitData
from reasonrec_core.errors import DataError
from reasonrec_core.types import Float32, History, Int32, Int64, Interactions, QueryBatch, Task, indptr_of
from reasonrec_cot.items.similar_users import keep_clicks
from reasonrec_cot.prompting.dialogue import Dialogue, Thought, add_answer
from reasonrec_cot.prompting.prompt_builder import PromptBuilder, PromptRequest, labels
from reasonrec_cot.prompting.rationale import RationaleBuilder
from reasonrec_cot.prompting.similar_choices import DescribeSimilar
from reasonrec_cot.tuning.review_requests import ReviewRequests

UNSAID = 0.5
"""Stands where a confidence is not learned; the text is cut off before it."""


@dataclass(frozen=True)
class Drawn:
    """Who was drawn: histories as long as they are shown, and what came next.

    Attributes:
        history: what is shown.
        targets: int32[B].
        labels: float32[B], None where every target was chosen.
        users: int64[B].
        ends: int64[B] where what each user chose before ends in the log of what counts as history.
        times: int64[B] of the targets.
    """

    history: History
    targets: Int32
    labels: Float32 | None
    users: Int64
    ends: Int64
    times: Int64


MakeRequest = Callable[[int, list[int], int], tuple[PromptRequest, str]]
"""Of a drawn row, its history and its target: what is asked, and the right answer."""


class Examples:
    """Draws dialogues.

    A target and what its user did before it, both from the training part: what a held-out query knows of the future
    cannot enter. Users are drawn in proportion to their targets and to what the curriculum says at this point.

    Args:
        data: what may be learned from.
        prompt_builder: asks in words.
        rationales: writes the thoughts, where some are wanted.
        curriculum: whom to show when.
        candidates: listed in direct dialogues.
        thoughts: share of dialogues with reasoning.
        shuffle_ties: draw an order of what a user did at the same time.
        similar: says what similar users did before rows of the training part, where prompts tell of them.

    Raises:
        DataError: no user has two training interactions.
    """

    def __init__(
        self,
        data: FitData,
        prompt_builder: PromptBuilder,
        rationales: RationaleBuilder | None,
        curriculum: CurriculumConfig,
        candidates: int,
        thoughts: float,
        shuffle_ties: bool = True,
        similar: DescribeSimilar | None = None,
    ) -> None:
        self.data, self.prompt_builder, self.rationales = data, prompt_builder, rationales
        self.curriculum, self.candidates, self.thoughts = curriculum, candidates, thoughts
        self._shuffles, self._similar = shuffle_ties, similar
        self._clicks = data.task is Task.CTR and data.train.values is not None
        self._shown = keep_clicks(data.train) if self._clicks else data.train
        self._indptr = indptr_of(np.bincount(self._shown.users, minlength=data.n_users))
        self._targets = np.maximum(np.diff(self._indptr) - 1, 0)
        if not self._targets.any():
            raise DataError(
                "no user has two or more training interactions, so there is no next item to learn",
                fix="Use a policy without training, or a split that leaves users more history.",
            )
        self.reviews = ReviewRequests.of(data, prompt_builder.items, prompt_builder.settings.history)

    @cached_property
    def horizon(self) -> Float32:
        """float32[n_users] evidence horizon of the whole training history."""
        if self.data.horizon is None:
            return np.zeros(self.data.n_users, np.float32)
        users = np.arange(self.data.n_users, dtype=np.int32)
        history = History(self._indptr, self._shown.items, self._shown.times)
        return self.data.horizon(QueryBatch(Task.SEQUENTIAL, users, history))

    def draw(self, task: Task, count: int, progress: float, rng: np.random.Generator) -> list[Dialogue]:
        """``count`` answered dialogues in the words of one template, which is drawn, too.

        Args:
            task: what is asked.
            count: how many.
            progress: of the training, in [0, 1].
            rng: of all choices.
        """
        if task is Task.EXPLAIN:
            return self.reviews.draw(self.prompt_builder, count, rng) if self.reviews else []
        drawn = self._draw(task, count, progress, rng)
        thinks = self.rationales is not None and rng.random() < self.thoughts
        make: MakeRequest
        make = {Task.SEQUENTIAL: self._next, Task.DIRECT: self._choice, Task.CTR: self._click}[task](drawn, rng)
        asked = [make(row, drawn.history.row(row).tolist(), int(t)) for row, t in enumerate(drawn.targets)]
        if task is Task.CTR and self._similar is not None:
            asked = self._add_similar(drawn, asked, self._similar)
        template = self.prompt_builder.choose(asked[0][0], rng)
        thoughts: Sequence[Thought | None] = [None] * count
        if thinks and self.rationales is not None:
            items = np.array([r.candidates[0] if task is Task.CTR else r.target for r, _ in asked], np.int32)
            thoughts = self.rationales.build(drawn.history, items, self.horizon[drawn.users])
        return [
            add_answer(self.prompt_builder.ask(request, template), said, UNSAID, thought)
            for (request, said), thought in zip(asked, thoughts, strict=True)
        ]

    def _add_similar(
        self, drawn: Drawn, asked: Sequence[tuple[PromptRequest, str]], describe: DescribeSimilar
    ) -> list[tuple[PromptRequest, str]]:
        """The same requests with what similar users did: those like all that a user chose before, shown or not."""
        past = _windows(self._shown, self._indptr[drawn.users], drawn.ends)
        items = np.array([request.candidates for request, _ in asked], np.int32)
        users = drawn.users.astype(np.int32)
        batch = QueryBatch(Task.CTR, users, past, candidates=items, times=drawn.times)
        return [
            (replace(request, similar=known), said)
            for (request, said), known in zip(asked, describe(batch), strict=True)
        ]

    def _draw(self, task: Task, count: int, progress: float, rng: np.random.Generator) -> Drawn:
        if task is Task.CTR and self._clicks:
            return self._rows(count, progress, rng)
        longest, settings = self.prompt_builder.settings.history, self.prompt_builder.settings
        # Where every item of a history teaches the next one, as many windows are read of a user as the sequence fills,
        # and they end behind its end, too: then all items are learned from alike, the newest a little more.
        dense = task is Task.SEQUENTIAL and settings.soft_tokens
        weights = np.where(self._targets, np.maximum(self._targets / longest, 1.0), 0.0) if dense else self._targets
        weights = weights * sampling_probability(self.curriculum, self.horizon, progress).astype(np.float64)
        users = rng.choice(len(weights), count, p=weights / weights.sum())
        ends = self._targets[users] + (longest - 1 if dense else 0)
        at = self._indptr[users] + 1 + np.minimum((rng.random(count) * ends).astype(np.int64), self._targets[users] - 1)
        limit = history_limit(self.curriculum, self.horizon[users], progress, rng.random(count, dtype=np.float32))
        first = np.maximum(self._indptr[users], at - np.minimum(limit, longest))
        windows = _windows(self._shown, first, at + 1, rng if self._shuffles else None)
        ends = windows.indptr[1:] - 1
        read = np.ones(len(windows.items), np.bool_)
        read[ends] = False
        history = History(indptr_of(at - first), windows.items[read], windows.times[read])
        return Drawn(history, windows.items[ends], None, users, at, self._shown.times[at])

    def _rows(self, count: int, progress: float, rng: np.random.Generator) -> Drawn:
        """Labelled rows, each with what its user clicked before it."""
        train, values = self.data.train, self.data.train.values
        assert values is not None
        weights = sampling_probability(self.curriculum, self.horizon, progress)[train.users].astype(np.float64)
        rows = rng.choice(len(train), count, p=weights / weights.sum())
        users = train.users[rows].astype(np.int64)
        # Both are sorted by user and time: as many clicks stand before a row as were counted up to it.
        clicked = indptr_of(values > 0)
        at = clicked[rows]
        first = np.maximum(self._indptr[users], at - self.prompt_builder.settings.history)
        history = _windows(self._shown, np.minimum(first, at), at)
        return Drawn(history, train.items[rows], values[rows], users, at, train.times[rows])

    def _next(self, drawn: Drawn, rng: np.random.Generator) -> MakeRequest:
        names = self.prompt_builder.items.names
        return lambda row, history, target: (PromptRequest(Task.SEQUENTIAL, history, target=target), names[target])

    def _choice(self, drawn: Drawn, rng: np.random.Generator) -> MakeRequest:
        def make(row: int, history: list[int], target: int) -> tuple[PromptRequest, str]:
            listed = [target, *self._others(int(drawn.users[row]), target, self.candidates - 1, rng)]
            order = rng.permutation(len(listed))
            shown = [listed[n] for n in order]
            label = labels(len(shown))[int(np.flatnonzero(order == 0)[0])]
            return PromptRequest(Task.DIRECT, history, shown, target=target), label

        return make

    def _click(self, drawn: Drawn, rng: np.random.Generator) -> MakeRequest:
        def make(row: int, history: list[int], target: int) -> tuple[PromptRequest, str]:
            right = bool(rng.random() < 0.5) if drawn.labels is None else bool(drawn.labels[row] > 0)
            item = target
            if drawn.labels is None and not right:
                item = next(iter(self._others(int(drawn.users[row]), target, 1, rng)), target)
            return PromptRequest(Task.CTR, history, [item], target=item), "yes" if right else "no"

        return make

    def _others(self, user: int, target: int, count: int, rng: np.random.Generator) -> list[int]:
        """Items that the user does not have, half of them drawn as often as they are chosen."""
        own = set(self._shown.items[self._indptr[user] : self._indptr[user + 1]].tolist()) | {target}
        found: list[int] = []
        for _ in range(20 * count):
            popular = rng.random() < 0.5
            item = int(rng.choice(self._shown.items)) if popular else int(rng.integers(len(self.data.catalog)))
            if item not in own:
                own.add(item)
                found.append(item)
            if len(found) == count:
                break
        return found


def _windows(log: Interactions, first: Int64, stop: Int64, rng: np.random.Generator | None = None) -> History:
    """Parts of the log; with ``rng``, each moment of a part in an order of chance."""
    lengths = stop - first
    indptr = indptr_of(lengths)
    index = np.arange(indptr[-1]) + np.repeat(first - indptr[:-1], lengths)
    if rng is not None:
        rows = np.repeat(np.arange(len(lengths)), lengths)
        index = index[np.lexsort((rng.random(len(index)), log.times[index], rows))]
    return History(indptr, log.items[index], log.times[index])
