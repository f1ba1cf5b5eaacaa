"""Which task a batch is about, and which dialogues it holds: decided by the settings, the seed and the step alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reasonrec_core.types import Task
from reasonrec_cot.backbone.tokenisation import DialogueTokeniser
from reasonrec_cot.tuning.encoding import Encoded, TuningBatch, collate, encode, truncate_after_head
from reasonrec_cot.tuning.examples import Examples
from reasonrec_cot.tuning_config import TaskShares

POOL = 3
"""Dialogues drawn for each that enters a batch: those of like length are taken, so that little is padding."""
MOST_DRAWN = 96


@dataclass
class Sampler:
    """Makes batches: a stream to learn from (`reasonrec_torch.model_protocol.StreamSource`).

    Tasks take turns so that each has had its share of the tokens. All chance comes from (seed, step, number of the
    batch within it), so that what comes next needs nothing but `spent`.

    Attributes:
        examples: draws dialogues.
        tokeniser: turns them into tokens.
        shares: of the tasks.
        places: of a batch: rows times the longest.
        seed: of all chance.
        writes: whether text is learned; if not, dialogues that the head is asked in end where it is asked last.
        steps: of the whole training.
        digest: hash of what dialogues depend on besides.
        spent: tokens per task so far.
    """

    examples: Examples
    tokeniser: DialogueTokeniser
    shares: TaskShares
    places: int
    seed: int
    writes: bool = True
    steps: int = 1
    digest: str = ""
    spent: dict[str, int] = field(default_factory=dict)

    def draw(self, step: int, number: int, progress: float) -> TuningBatch:
        """The batch with this number within the step."""
        rng = np.random.default_rng([self.seed, step, number])
        task = self._task()
        count = min(MOST_DRAWN, POOL * max(1, self.places // LENGTHS[task]))
        encoded = [encode(self.tokeniser, dialogue) for dialogue in self.examples.draw(task, count, progress, rng)]
        if not self.writes:
            encoded = [truncate_after_head(each) for each in encoded]
        batch = collate(take_fitting(encoded, self.places, rng))
        self.spent[task] = self.spent.get(task, 0) + batch.used
        return batch

    def state(self) -> dict[str, Any]:
        """Tokens per task so far."""
        return dict(self.spent)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        self.spent = dict(state)

    def _task(self) -> Task:
        shares: Mapping[Task, float] = {Task(name): share for name, share in self.shares.model_dump().items() if share}
        if self.examples.reviews is None:
            shares = {task: share for task, share in shares.items() if task is not Task.EXPLAIN}
        return min(shares, key=lambda task: self.spent.get(task, 0) / shares[task])


LENGTHS = {Task.SEQUENTIAL: 192, Task.DIRECT: 384, Task.CTR: 192, Task.EXPLAIN: 256}
"""How long dialogues usually are: how many are drawn, nothing else, depends on it."""


def take_fitting(encoded: list[Encoded], places: int, rng: np.random.Generator) -> list[Encoded]:
    """Neighbours in length, as many as fit, beginning at a random one; at least one."""
    ordered = sorted(encoded, key=len)
    first = int(rng.integers(len(ordered)))
    fitting = [ordered[first]]
    low, high = first - 1, first + 1
    while low >= 0 or high < len(ordered):
        if high < len(ordered) and (len(fitting) + 1) * len(ordered[high]) <= places:
            fitting.append(ordered[high])
            high += 1
        elif low >= 0 and (len(fitting) + 1) * len(fitting[-1]) <= places:
            fitting.append(ordered[low])
            low -= 1
            fitting.sort(key=len)
        else:
            break
    return fitting
